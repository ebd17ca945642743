// The weight format of a kernel with one matrix, for lanes_product.glsl.
layout(constant_id = 2) const uint BITS = 8;   // a code
layout(constant_id = 3) const uint GROUP = 32; // columns a scale, 32 or 16
layout(constant_id = 4) const uint SCALE = 0;  // 0 f16, 1 f32, 2 affine
#define RR_BITS BITS
#define RR_GROUP GROUP
#define RR_SCALE SCALE
