"""Running programs on vendors' real drivers with pretended hardware, for tools/dev/isa-gate and tools/dev/dry-run.

Mesa's no-op kernel shims answer for a kernel driver: devices enumerate, kernels are compiled by the vendor's real compiler,
command lists are recorded and submitted, but nothing is executed. There are two sets of drivers:
  - Installed: the machine's own Mesa, when it is of the version that the AMD and Intel shims were built from, and NVK
    with its wrapper;
  - Mesa26: a newer one in a folder of its own, as `tools/dev/mesa-next fetch` brings it (--mesa26 ROOT, else $REARANK_MESA, else
    mesa-next in the user's cache folder), which knows newer devices and more matrix units.
The folder with the shims of both is given (--shims, else $REARANK_SHIMS, else ../shared/icd)."""
import concurrent.futures
import glob
import json
import os
import re
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Target:
    """A pretended device: `chip` is the shim's name for it, `name` a part of what the driver must call it; `recorded` names it
    among tests/data/devices. One without memory can only be compiled for."""

    def __init__(self, vendor, chip, title, name, memory=True, recorded=None):
        self.vendor, self.chip, self.title, self.name, self.memory = vendor, chip, title, name, memory
        self.id = f'{vendor}:{chip}'
        self.recorded = recorded or f'{vendor}-{chip}'


INSTALLED_TARGETS = [
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

# The same devices, where the newer Mesa lists the same matrices and uses the same name, and those of which it knows more.
CHANGED = ['amd:gfx1150', 'amd:gfx1200', 'amd:gfx1201', 'nvk:162', 'nvk:172']
MESA26_TARGETS = [target for target in INSTALLED_TARGETS if target.id not in CHANGED] + [
    Target('amd', 'gfx1150', 'Strix', 'STRIX1'),
    Target('amd', 'rdna4', 'RX 9070 XT', 'GFX1201'),
    Target('intel', 'ptl', 'Panther Lake', 'PTL'),
    Target('nvk', '162', 'Turing TU102', 'NVK', recorded='nvk-tu102-mesa26'),
    Target('nvk', '172', 'Ampere GA102', 'NVK', recorded='nvk-ga102-mesa26'),
]


def folder_of(*candidates):
    """The first that is given, as an absolute path."""
    return os.path.abspath(os.path.expanduser(next(folder for folder in candidates if folder)))


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


class Installed:
    """The machine's own drivers."""

    mesa = '25.0.7'  # what the shims were built from
    title, table = f'Mesa {mesa}', 'isa.csv'
    targets = INSTALLED_TARGETS
    shim = {'amd': 'amd-stub/libamdgpu_noop_drm_shim.so', 'intel': 'intel-stub/libintel_noop_drm_shim.so', 'nvk': 'nvk/run'}
    driver = {'amd': 'radeon_icd', 'intel': 'intel_icd'}

    def __init__(self, shims):
        self.shims = shims

    def driver_file(self, vendor):
        """The driver's description for the Vulkan loader, None when it is not installed."""
        found = sorted(glob.glob(f'/usr/share/vulkan/icd.d/{self.driver[vendor]}*.json'))
        return found[0] if found else None

    def why_not(self, vendor):
        """Why the vendor's devices cannot be pretended here; None when they can."""
        if not os.path.exists(os.path.join(self.shims, self.shim[vendor])):
            return f'no {self.shim[vendor]} in {self.shims}'
        if vendor not in self.driver:
            return None
        if self.driver_file(vendor) is None:
            return f'no {self.driver[vendor]} is installed (package mesa-vulkan-drivers)'
        found = mesa_version(self.driver_file(vendor))
        return None if found == self.mesa else (f'the shims are for Mesa {self.mesa}, the installed driver is of '
                                                f'{found or "an unknown version"}')

    def prepare(self, target, command, env):
        """The command that runs `command` on the target; puts into `env` what it needs."""
        shim = os.path.join(self.shims, self.shim[target.vendor])
        if target.vendor == 'nvk':
            return [shim, target.chip] + command
        env['VK_DRIVER_FILES'] = env['VK_ICD_FILENAMES'] = self.driver_file(target.vendor)
        if not target.memory:
            env['RADV_FORCE_FAMILY'] = target.chip
        else:
            env['LD_PRELOAD'] = shim
            env['AMDGPU_GPU_ID' if target.vendor == 'amd' else 'INTEL_STUB_GPU_PLATFORM'] = target.chip
        return command


class Mesa26:
    """Mesa 26 in a folder of its own, with the loader of programs and the C library that it needs."""

    title, table = 'Mesa 26', 'isa-mesa26.csv'
    targets = MESA26_TARGETS
    shim = {'amd': 'mesa26/libamdgpu_noop_drm_shim.so', 'intel': 'intel-stub/libintel_noop_drm_shim.so',
            'nvk': 'nvk/libnouveau_noop_drm_shim.so'}
    driver = {'amd': 'radeon_icd', 'intel': 'intel_icd', 'nvk': 'nouveau_icd'}
    chip_variable = {'amd': 'AMDGPU_GPU_ID', 'intel': 'INTEL_STUB_GPU_PLATFORM', 'nvk': 'NOUVEAU_CHIPSET'}
    # the AMD shim that says of one of its chips that it is a later one
    renamed = {'amd:rdna4': ('mesa26/libamdgpu_noop_drm_shim_rdna4.so', 'navi31')}

    def __init__(self, shims, root):
        self.shims, self.root = shims, root

    def driver_file(self, vendor):
        return os.path.join(self.root, 'usr/share/vulkan/icd.d', f'{self.driver[vendor]}.json')

    def why_not(self, vendor):
        """Why the vendor's devices cannot be pretended here; None when they can."""
        if not os.path.exists(os.path.join(self.shims, self.shim[vendor])):
            return f'no {self.shim[vendor]} in {self.shims}'
        if not os.path.exists(self.driver_file(vendor)):
            return f'no Mesa 26 in {self.root} (tools/dev/mesa-next fetch brings it)'
        return None

    def prepare(self, target, command, env):
        """The command that runs `command` on the target; puts into `env` what it needs."""
        shim, chip = self.renamed.get(target.id, (self.shim[target.vendor], target.chip))
        env['VK_DRIVER_FILES'] = env['VK_ICD_FILENAMES'] = self.driver_file(target.vendor)
        env[self.chip_variable[target.vendor]] = chip
        env.setdefault('XDG_RUNTIME_DIR', '/tmp')
        if target.vendor == 'intel':
            env['INTEL_FORCE_PROBE'] = '*'
        folders = [os.path.join(self.root, 'usr/lib/x86_64-linux-gnu'), os.path.join(self.root, 'lib/x86_64-linux-gnu'),
                   '/usr/lib/x86_64-linux-gnu', '/lib/x86_64-linux-gnu']
        return [os.path.join(self.root, 'usr/lib64/ld-linux-x86-64.so.2'), '--preload', os.path.join(self.shims, shim),
                '--library-path', ':'.join(folders)] + command


def add_options(parser):
    """The options by which drivers_of() chooses."""
    parser.add_argument('--shims', help='the folder with the shims (default: $REARANK_SHIMS, else ../shared/icd)')
    parser.add_argument('--mesa26', metavar='ROOT', nargs='?', const='',
                        help='on Mesa 26 instead of the installed drivers (default: $REARANK_MESA, else mesa-next in the cache folder)')


def drivers_of(options):
    shims = folder_of(options.shims, os.environ.get('REARANK_SHIMS'), os.path.join(ROOT, '..', 'shared', 'icd'))
    if options.mesa26 is None:
        return Installed(shims)
    # as tools/dev/mesa-next places it
    usual = os.path.join(os.environ.get('XDG_CACHE_HOME') or '~/.cache', 'mesa-next')
    return Mesa26(shims, folder_of(options.mesa26, os.environ.get('REARANK_MESA'), usual))


def available(drivers, wanted):
    """The targets that can be pretended here; says of each other vendor why its targets cannot."""
    reasons = {vendor: drivers.why_not(vendor) for vendor in dict.fromkeys(target.vendor for target in wanted)}
    for vendor, reason in reasons.items():
        if reason is not None:
            print(f'skipped: {vendor} on {drivers.title}: {reason}')
    return [target for target in wanted if reasons[target.vendor] is None]


def select(drivers, ids):
    """All targets, or those whose id or chip is named."""
    for name in ids:
        if not any(name in (target.id, target.chip, target.vendor) for target in drivers.targets):
            raise SystemExit(f'no pretended device of {drivers.title} is called {name}; there are '
                             + ' '.join(target.id for target in drivers.targets))
    return [t for t in drivers.targets if not ids or any(name in (t.id, t.chip, t.vendor) for name in ids)]


NOISE = re.compile(r'unhandled|^Unknown (drm|DRM)|not a conformant|bus info|not a recognized processor|Forcing probe of')


def run(drivers, target, command, timeout):
    """Runs `command` on the target; gives (exit code, standard output, what its standard error says beside the shims' noise).
    Caches are off or in a folder of this call's own."""
    with tempfile.TemporaryDirectory() as cache:
        full = dict(os.environ, MESA_SHADER_CACHE_DISABLE='true', REARANK_CACHE=cache, LC_ALL='C')
        full.setdefault('XDG_RUNTIME_DIR', '/tmp')
        for name in ('REARANK_CAPS', 'REARANK_MODEL', 'VK_ICD_FILENAMES'):
            full.pop(name, None)
        command = drivers.prepare(target, command, full)
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
