# Sourced by the scripts that README names: installs what is missing on Debian and Ubuntu, and sets $preset to the build for
# this machine: cuda where nvcc and a GPU are found, else cpu.

packages=(build-essential cmake ninja-build git curl ca-certificates libopenblas-dev libtbb-dev
  libthrust-dev librandom123-dev libcli11-dev nlohmann-json3-dev libfmt-dev libxxhash-dev
  zlib1g-dev libtomlplusplus-dev libboost-math-dev libgtest-dev libbenchmark-dev)

install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
      echo "These packages are missing, and there is neither root nor sudo to install them: ${missing[*]}" >&2
      return 1
    }
    root=(sudo)
  fi
  echo "Installing ${missing[*]}"
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

if command -v apt-get >/dev/null; then
  install_packages "${packages[@]}"
else
  echo "No apt-get here: what is not installed is fetched by CMake (compiler, CMake 3.25, ninja and git must be there)"
fi

[ -x /usr/local/cuda/bin/nvcc ] && PATH=$PATH:/usr/local/cuda/bin
preset=cpu
if command -v nvcc >/dev/null && nvidia-smi -L 2>/dev/null | grep -q '^GPU'; then
  preset=cuda
fi
