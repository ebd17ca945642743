# Sourced by scripts of this folder that run the program with a small generated model, as check.bash is: synth_model lies beside the
# program, and REARANK_MODEL names what it wrote. Without it the script is skipped.
# shellcheck shell=bash

synth=$(dirname -- "$(realpath -- "$1")")/synth_model
if [[ ! -x $synth ]]; then
    echo "skipped: no synth_model beside $1"
    exit 77
fi
# shellcheck source=tests/tools/check.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/check.bash"
export REARANK_MODEL=$work/model.gguf
"$synth" model.gguf
