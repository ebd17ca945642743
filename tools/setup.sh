# Shared by tools/demo, tools/test and .ci/run, which source it: set-up of a machine, quiet steps with a log.
# Owns: the list of what a build needs and the names of the packages that carry it. Changes no apt sources.
# shellcheck shell=bash

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
log_folder=$root/build/log
missing=()  # packages to install
optional=() # … where the distribution carries them

fail() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 1
}

# quietly NAME "what to do on failure" COMMAND…: output goes to build/log/NAME.log, its end is shown on failure.
quietly() {
    local name=$1 advice=$2
    shift 2
    mkdir -p "$log_folder"
    local log=$log_folder/$name.log
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 30 "$log" >&2
        fail "step \"$name\" failed; its whole output is in $log
$advice"
    fi
}

need_command() { # COMMAND PACKAGE…
    command -v "$1" >/dev/null 2>&1 || missing+=("${@:2}")
}

need_module() { # pkg-config MODULE, PACKAGE
    pkg-config --exists "$1" >/dev/null 2>&1 || missing+=("$2")
}

need_header() { # HEADER PACKAGE
    printf '#include <stddef.h>\n#include <%s>\n' "$1" | cc -E -x c - >/dev/null 2>&1 || missing+=("$2")
}

need_build() {
    need_command cc gcc libc6-dev
    need_command cmake cmake
    need_command ninja ninja-build
    need_command pkg-config pkgconf
    need_command glslc glslc
    need_command spirv-val spirv-tools
    need_header vulkan/vulkan.h libvulkan-dev
    need_header volk.h libvulkan-volk-dev
    need_header stb/stb_ds.h libstb-dev
    need_module libpcre2-8 libpcre2-dev
    need_module libutf8proc libutf8proc-dev
    need_module zlib zlib1g-dev
    need_module sqlite3 libsqlite3-dev
    need_module libcurl libcurl4-openssl-dev
    need_module libcrypto libssl-dev
    need_module libarchive libarchive-dev
    need_module libmicrohttpd libmicrohttpd-dev
    optional+=(libyyjson-dev)
}

# The Vulkan loader, and a driver: where none is installed, Mesa's, which hold the software device lavapipe.
need_vulkan() {
    local loader
    loader=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null || true)
    [[ $loader == *libvulkan.so.1* ]] || missing+=(libvulkan1)
    if [[ -z ${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-} ]]; then
        local folder
        for folder in /usr/share /usr/local/share /etc "${XDG_DATA_HOME:-${HOME:-/}/.local/share}"; do
            if compgen -G "$folder/vulkan/icd.d/*.json" >/dev/null; then
                return
            fi
        done
        missing+=(mesa-vulkan-drivers)
    fi
}

need_validation() {
    compgen -G '/usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json' >/dev/null ||
        compgen -G '/etc/vulkan/explicit_layer.d/VkLayer_khronos_validation.json' >/dev/null ||
        missing+=(vulkan-validationlayers)
}

# A pip client and certificates, by which `rearank pull` reaches its sources.
need_download() {
    [[ -e /etc/ssl/certs/ca-certificates.crt || -e /etc/pki/tls/certs/ca-bundle.crt ]] || missing+=(ca-certificates)
    python3 -m pip --version >/dev/null 2>&1 || command -v pip3 >/dev/null 2>&1 ||
        command -v pip >/dev/null 2>&1 || missing+=(python3-pip)
}

known_to_apt() {
    local policy
    policy=$(LC_ALL=C apt-cache policy "$1" 2>/dev/null)
    [[ $policy == *Candidate:* && $policy != *'Candidate: (none)'* ]]
}

# Installs `missing`: as root, through sudo where that asks nothing (or a person is there to answer), else says the
# command and stops.
install_missing() {
    if ((${#missing[@]} == 0)); then
        return
    fi
    if ! command -v apt-get >/dev/null 2>&1; then
        fail "this machine lacks what these Debian packages hold, and has no apt-get to install them:
  ${missing[*]}
Install the same tools and libraries with your package manager, then run this again."
    fi
    local as_root=()
    if (($(id -u) != 0)); then
        if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
            as_root=(sudo -n)
        elif command -v sudo >/dev/null 2>&1 && [[ -t 0 && -t 2 ]]; then
            echo "Installing (sudo may ask for your password): ${missing[*]}" >&2
            sudo -v || fail "sudo refused; as root run: apt-get install --no-install-recommends ${missing[*]}"
            as_root=(sudo -n)
        else
            fail "these packages are missing; install them, then run this again:
  sudo apt-get install --no-install-recommends ${missing[*]}"
        fi
    fi
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
    quietly apt-update "Is the network up? The package lists of this machine could not be read." "${apt[@]}" update
    local name
    for name in "${missing[@]}"; do
        known_to_apt "$name" || fail "no package \"$name\" in this machine's apt sources (on Ubuntu: is \"universe\" enabled?);
add the source that carries it, then run this again."
    done
    for name in "${optional[@]}"; do
        ! known_to_apt "$name" || missing+=("$name")
    done
    quietly apt-install "Repair the package manager's complaint above, then run this again." \
        "${apt[@]}" install --no-install-recommends "${missing[@]}"
    missing=()
    optional=()
}

# build FOLDER "TARGET…" [CMAKE OPTION…]: configures and builds with all cores. No target = everything.
build() {
    local folder=$1 targets=$2
    shift 2
    local name=${folder#"$root/build/"}
    local advice="If the sources are as released, remove $folder and run this again; else repair what the compiler names."
    quietly "configure-$name" "$advice" cmake -S "$root" -B "$folder" -G Ninja "$@"
    # shellcheck disable=SC2086 # targets are words
    quietly "build-$name" "$advice" ninja -C "$folder" $targets
}

# run_ctest BUILD_FOLDER [CTEST OPTION…]: runs the tests; shows failures with their output and why tests were skipped, then
# `N passed, N failed, N skipped`. Fails when a test failed, and when there was none.
run_ctest() {
    local folder=$1 status=0
    shift
    mkdir -p "$log_folder"
    local log=$log_folder/ctest-${folder##*/}.log
    ctest --test-dir "$folder" --output-on-failure -j "$(nproc)" "$@" >"$log" 2>&1 </dev/null || status=$?
    local counts passed failed skipped
    counts=$(awk '/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
            if ($0 ~ / Passed +[0-9.]+ sec/) passed++
            else if ($0 ~ /\*\*\*Skipped/) skipped++
            else failed++
        }
        END { print passed + 0, failed + 0, skipped + 0 }' "$log")
    read -r passed failed skipped <<<"$counts"
    if ((status != 0 && failed == 0)) || ((passed + failed + skipped == 0)); then
        tail -n 30 "$log" >&2
        echo "no test ran, or ctest itself failed (status $status); its output is in $log" >&2
        failed=$((failed + 1))
    elif ((failed > 0)); then
        grep -v -E ' Passed +[0-9.]+ sec|^ +Start +[0-9]+:' "$log" | tail -n 200 >&2
        echo "The whole output is in $log" >&2
    fi
    grep '^skipped: ' "$folder/Testing/Temporary/LastTest.log" 2>/dev/null | sort | uniq -c |
        sed 's/^ *\([0-9]*\) skipped: \(.*\)/skipped (\1): \2/' || true
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    ((failed == 0))
}
