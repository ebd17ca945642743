"""Running programs on vendors' real drivers with pretended hardware, for tools/isa-gate and tools/dry-run.

Mesa's no-op kernel shims answer for a kernel driver: devices enumerate, kernels are compiled by the vendor's real compiler,
command lists are recorded and submitted, but nothing is executed. The folder with the shims is given (--shims, else
$REARANK_SHIMS, else ../shared/icd); the AMD and Intel ones work with the drivers of the installed Mesa when that is of the
version that they were built from."""
import concurrent.futures
import glob
import json
import os
import re
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MESA = '25.0.7'  # what the shims were built from


class Target:
    """A pretended device: `chip` is the shim's name for it, `name` a part of what the driver must call it; `recorded` names it
    among tests/data/devices. One without memory can only be compiled for."""

    def __init__(self, vendor, chip, title, name, memory=True, recorded=None):
        self.vendor, self.chip, self.title, self.name, self.memory = vendor, chip, title, name, memory
        self.id = f'{vendor}:{chip}'
        self.recorded = recorded or f'{vendor}-{chip}'


TARGETS = [
    Target('amd', 'polaris10', 'RX 580', 'POLARIS10'),
    Target('amd', 'vega10', 'RX Vega', 'VEGA10'),
    Target('amd', 'navi10', 'RX 5700 XT', 'NAVI10'),
    Target('amd', 'navi21', 'RX 6800', 'NAVI21'),
    Target('amd', 'navi31', 'RX 7900 XTX', 'NAVI31'),
    Target('amd', 'vangogh', 'Steam Deck', 'VANGOGH'),
    Target('amd', 'gfx1150', 'Strix', 'GFX1150'),
    Target('amd', 'gfx1200', 'RDNA 4', 'GFX1200', memory=False),
    Target('amd', 'gfx1201', 'RDNA 4', 'GFX1201', memory=False),
    Target('intel', 'tgl', 'Iris Xe', 'TGL'),
    Target('intel', 'dg2', 'Arc A770', 'DG2'),
    Target('intel', 'mtl', 'Meteor Lake', 'MTL'),
    Target('intel', 'lnl', 'Lunar Lake', 'LNL'),
    Target('intel', 'bmg', 'Arc B580', 'BMG'),
    Target('nvk', '162', 'Turing TU102', 'NVK', recorded='nvk-tu102'),
    Target('nvk', '172', 'Ampere GA102', 'NVK', recorded='nvk-ga102'),
]

SHIM = {'amd': 'amd-stub/libamdgpu_noop_drm_shim.so', 'intel': 'intel-stub/libintel_noop_drm_shim.so', 'nvk': 'nvk/run'}
DRIVER = {'amd': 'radeon_icd', 'intel': 'intel_icd'}


def shims_folder(given):
    return os.path.abspath(given or os.environ.get('REARANK_SHIMS') or os.path.join(ROOT, '..', 'shared', 'icd'))


def driver_file(vendor):
    """The installed driver's description for the Vulkan loader, None when it is not installed."""
    found = sorted(glob.glob(f'/usr/share/vulkan/icd.d/{DRIVER[vendor]}*.json'))
    return found[0] if found else None


def mesa_version(description):
    """The version of the Mesa driver that a description names, '' when it cannot be told."""
    with open(description, encoding='utf-8') as file:
        library = json.load(file)['ICD']['library_path']
    folders = [os.path.dirname(description), '/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/usr/lib']
    for path in [library] if os.path.isabs(library) else [os.path.join(folder, library) for folder in folders]:
        if os.path.exists(path):
            with open(path, 'rb') as file:
                found = re.search(rb'Mesa (\d+\.\d+\.\d+)', file.read())
            return found[1].decode() if found else ''
    return ''


def available(shims, wanted):
    """The targets that can be pretended here, and a line for each reason why others cannot."""
    reasons = []
    if not os.path.isdir(shims):
        return [], [f'skipped: no shims in {shims}']
    usable = set()
    for vendor in dict.fromkeys(target.vendor for target in wanted):
        if not os.path.exists(os.path.join(shims, SHIM[vendor])):
            reasons.append(f'skipped: {vendor}: no {SHIM[vendor]} in {shims}')
        elif vendor in DRIVER and driver_file(vendor) is None:
            reasons.append(f'skipped: {vendor}: no {DRIVER[vendor]} is installed (package mesa-vulkan-drivers)')
        elif vendor in DRIVER and mesa_version(driver_file(vendor)) != MESA:
            reasons.append(f'skipped: {vendor}: the shims are for Mesa {MESA}, the installed driver is of '
                           f'{mesa_version(driver_file(vendor)) or "an unknown version"}')
        else:
            usable.add(vendor)
    return [target for target in wanted if target.vendor in usable], reasons


def select(ids):
    """All targets, or those whose id or chip is named."""
    for name in ids:
        if not any(name in (target.id, target.chip, target.vendor) for target in TARGETS):
            raise SystemExit(f'no pretended device is called {name}; there are '
                             + ' '.join(target.id for target in TARGETS))
    return [t for t in TARGETS if not ids or any(name in (t.id, t.chip, t.vendor) for name in ids)]


NOISE = re.compile(r'unhandled|^Unknown (drm|DRM)|not a conformant|bus info|not a recognized processor')


def run(target, shims, command, timeout, env=None):
    """Runs `command` on the target; gives (exit code, standard output, what its standard error says beside the shims' noise).
    Caches are off or in a folder of this call's own."""
    with tempfile.TemporaryDirectory() as cache:
        full = dict(os.environ, MESA_SHADER_CACHE_DISABLE='true', REARANK_CACHE=cache, LC_ALL='C', **(env or {}))
        full.setdefault('XDG_RUNTIME_DIR', '/tmp')
        for name in ('REARANK_CAPS', 'REARANK_MODEL', 'VK_ICD_FILENAMES'):
            full.pop(name, None)
        shim = os.path.join(shims, SHIM[target.vendor])
        if target.vendor == 'nvk':
            command = [shim, target.chip] + command
        else:
            full['VK_DRIVER_FILES'] = full['VK_ICD_FILENAMES'] = driver_file(target.vendor)
            if not target.memory:
                full['RADV_FORCE_FAMILY'] = target.chip
            else:
                full['LD_PRELOAD'] = shim
                full['AMDGPU_GPU_ID' if target.vendor == 'amd' else 'INTEL_STUB_GPU_PLATFORM'] = target.chip
        try:
            done = subprocess.run(command, env=full, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout,
                                  check=False)
        except subprocess.TimeoutExpired:
            return 124, '', f'no end after {timeout} s'
    errors = [line for line in done.stderr.decode('utf-8', 'replace').splitlines() if not NOISE.search(line)]
    return done.returncode, done.stdout.decode('utf-8', 'replace'), '\n'.join(errors)


def on_each(targets, work):
    """work(target) for each, on all processors; gives the results in order."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, targets))
