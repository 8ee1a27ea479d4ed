# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What NVIDIA's container toolkit says when a container cannot get the GPUs, the specific first.

It speaks as nvidia-container-cli (the hook of --gpus), as nvidia-ctk, nvidia-cdi-hook and nvidia-container-runtime, or
through the engine's CDI. No fix is the role that installs the toolkit: that one runs into the same. The texts are of
libnvidia-container, nvidia-container-toolkit and container-device-interface, as users report them.
"""

from __future__ import annotations

from .._core.causes import Alternative, Signature

_NEW_SPEC = "'systemctl restart nvidia-cdi-refresh', or 'nvidia-ctk cdi generate --output=/var/run/cdi/nvidia.yaml'"
_USE_CDI = "request the GPUs by CDI (vllm_gpu_request: cdi, nvidia_container_toolkit_mode: cdi)"

TOOLKIT: tuple[Signature, ...] = (
    Signature(
        "toolkit-mode",
        "Toolkit that does not take this kind of request",
        (r"invoking the NVIDIA Container Runtime Hook directly",),
        "The toolkit is set to CDI, which does not take requests by --gpus.",
        'Request the GPUs by CDI (vllm_gpu_request: cdi, nvidia_container_toolkit_mode: cdi), or set mode = "auto"'
        " below [nvidia-container-runtime] in /etc/nvidia-container-runtime/config.toml.",
    ),
    Signature(
        "toolkit-cgroup",
        "Toolkit that may not set the cgroup's devices",
        (
            r"failed to add device rules: (?P<what>[^\"]*)",
            r"nvidia-container-cli: \S* ?(?:error: )?(?P<what>.*cgroup[^\"]*)",
            r"(?P<what>failed to (?:get|set) (?:device )?cgroup[^\"]*)",
        ),
        "NVIDIA's hook may not add the GPUs to the device filter of the container's cgroup.",
        "",
        detail="It says: {what}.",
        alternatives=(
            Alternative(
                "The toolkit is older than 1.18, and its hook loads a BPF program itself, which this kernel or this"
                " nested host (LXC, a virtual machine with a hardened kernel, rootless) refuses.",
                "'nvidia-ctk --version' says less than 1.18.",
                f"update the toolkit to 1.18 or newer, or {_USE_CDI}, which leaves the filter to runc.",
                decides=r"Container Toolkit CLI version (?:0|1\.(?:\d|1[0-7]))\.",
                excludes=r"Container Toolkit CLI version (?:1\.(?:1[89]|[2-9]\d)|[2-9])\b",
            ),
            Alternative(
                "The engine is rootless or runs in a container that may not touch cgroups at all.",
                "'docker info' says rootless, or 'systemd-detect-virt --container' names one.",
                "set no-cgroups = true below [nvidia-container-cli] in /etc/nvidia-container-runtime/config.toml (only"
                f" there: else containers lose the GPUs), or {_USE_CDI}.",
                decides=r"rootless",
            ),
            Alternative(
                "The container's cgroup has no device controller or filter, as with cgroups of two versions mixed.",
                "'stat -fc %T /sys/fs/cgroup' does not say cgroup2fs.",
                "boot with one version (systemd.unified_cgroup_hierarchy=1).",
                decides=r"cgroup subsystem devices not found",
            ),
        ),
    ),
    Signature(
        "toolkit-ldconfig",
        "Toolkit whose ldconfig fails",
        (
            r"ldcache error: (?P<what>[^\"]*)",
            r"(?P<what>error updating ldcache[^\"]*|ldconfig(?:\.real)?:? [^\"]*(?:failed|terminated)[^\"]*)",
            r"(?P<what>pivot_root[^\"]*invalid argument)",
            r"(?P<what>couldn't find libnvidia-ml\.so[^\"]*)",
        ),
        "The toolkit could not renew the list of libraries in the container (ldconfig).",
        "",
        detail="It says: {what}.",
        alternatives=(
            Alternative(
                "The path in its settings is not that of this distribution.",
                "'grep ldconfig /etc/nvidia-container-runtime/config.toml' names /sbin/ldconfig.real where there is"
                " none, or the reverse.",
                'set ldconfig = "@/sbin/ldconfig" (Ubuntu: "@/sbin/ldconfig.real").',
                decides=r"open failed: \S*ldconfig|ldconfig\S* failed with error code: 127|No such file",
            ),
            Alternative(
                "ldconfig was ended by a signal: by the limit of open files, of memory, or by a glibc of the host"
                " that the container's kernel or sandbox refuses.",
                "the message says 'terminated with signal'; 'dmesg | tail' has a line for it.",
                f"update toolkit and glibc, lower the engine's LimitNOFILE to 1048576, or {_USE_CDI}.",
                decides=r"terminated with signal",
            ),
            Alternative(
                "The image has another architecture, or its own /etc/ld.so.conf or cache is broken.",
                "'docker run --rm --entrypoint /sbin/ldconfig IMAGE' fails without GPUs, too.",
                "choose another image.",
            ),
            Alternative(
                "The host's root is a RAM disk, which cannot be pivoted.",
                "'findmnt /' says rootfs or tmpfs.",
                "set DOCKER_RAMDISK=true for the engine.",
                decides=r"pivot_root",
            ),
        ),
    ),
    Signature(
        "toolkit-lost-gpu",
        "GPU that the driver does not answer for",
        (
            r"(?:error getting|failed to get) device handle.*: (?P<what>Unknown Error|GPU is lost"
            r"|ERROR_UNKNOWN|ERROR_GPU_IS_LOST)",
            r"(?P<what>Unable to determine the device handle for [^\"]*)",
        ),
        "The driver does not answer for one of the host's GPUs, so containers do not get the others either.",
        "See 'nvidia-smi -L' and 'dmesg | grep -i xid' on the host. Reboot once. If the GPU stays lost, give the node"
        " back.",
        detail="It says: {what}.",
    ),
    Signature(
        "toolkit-root",
        "Toolkit that looks for the driver in a folder that is not there",
        (r"nvidia-container-cli\S*: initialization error: (?P<what>change root failed[^\"]*)",),
        "The toolkit's settings name another folder for the driver than the one that it is in.",
        "Comment out root below [nvidia-container-cli] in /etc/nvidia-container-runtime/config.toml: /run/nvidia/driver"
        " is for a driver that runs in a container.",
        detail="It says: {what}.",
    ),
    Signature(
        "toolkit-driver-hangs",
        "Driver that does not answer the toolkit",
        (
            r"driver rpc error: (?P<what>[^\"]*)",
            r"(?P<what>driver error: failed to process request)",
        ),
        "NVIDIA's hook started the driver and got no answer from it.",
        "",
        detail="It says: {what}.",
        alternatives=(
            Alternative(
                "The driver is loaded anew for each program, which takes long with many GPUs: its persistence daemon"
                " does not run.",
                "nvidia-smi on the host takes more than a few seconds.",
                "run 'systemctl enable --now nvidia-persistenced'.",
                decides=r"timed out",
            ),
            Alternative(
                "The driver, or a GPU, has failed.",
                "nvidia-smi on the host hangs or fails; 'dmesg | grep -i -e xid -e NVRM'.",
                "reset the GPU or reboot.",
            ),
            Alternative(
                "The hook may not become the user that it runs the driver as.",
                "'grep -e user -e no-cgroups /etc/nvidia-container-runtime/config.toml' names a user without access"
                " to /dev/nvidia*.",
                'set user = "root:root" there.',
            ),
        ),
    ),
    Signature(
        "toolkit-driver",
        "Driver that does not work for the toolkit",
        (
            r"nvidia-container-cli\S*: initialization error: (?:nvml error|driver error"
            r"|cuda error): (?P<what>(?!driver"
            r" not loaded|driver/library)[^\"]*)",
            r"nvidia-container-cli\S*: detection error: (?P<what>[^\"]*)",
        ),
        "The driver of the host does not work for NVIDIA's hook.",
        "",
        detail="It says: {what}.",
        alternatives=(
            Alternative(
                "It does not work for anybody.",
                "nvidia-smi on the host fails, or shows fewer GPUs than there are; 'dmesg | grep -i -e NVRM -e xid'.",
                "go by what nvidia-smi says; mostly a reboot after an upgrade, or a GPU to exchange.",
            ),
            Alternative(
                "Its device nodes are missing or belong to others.",
                "'ls -l /dev/nvidia*' lacks nvidiactl or nvidia-uvm, or is not crw-rw-rw-.",
                "run 'nvidia-modprobe -u -c=0', and 'systemctl enable --now nvidia-persistenced'.",
                decides=r"insufficient permissions|permission denied|no such file",
            ),
            Alternative(
                "The toolkit looks for the driver in another folder.",
                "'grep root /etc/nvidia-container-runtime/config.toml' names /run/nvidia/driver or the like.",
                "comment that line out.",
            ),
        ),
    ),
    Signature(
        "toolkit-library",
        "Driver's library that the toolkit does not find",
        (
            r"load library failed: (?P<name>lib\S+?):? (?P<what>[^\"]*)",
            r"failed to initialize NVML: (?P<name>ERROR_LIBRARY_NOT_FOUND)",
        ),
        "NVIDIA's hook finds no library of the driver on the host.",
        "",
        detail="It is {name}.",
        alternatives=(
            Alternative(
                "The driver, or its part for computing, is not installed.",
                "'ldconfig -p | grep libnvidia-ml.so.1' on the host finds nothing, and nvidia-smi is missing.",
                "install the driver (nvidia-utils-..., libnvidia-compute-... of the driver's version).",
            ),
            Alternative(
                "The engine cannot see the host's libraries, as the snap of Docker, or an engine in a container.",
                "'snap list docker' lists it; nvidia-smi on the host works.",
                "remove the snap and install docker-ce.",
                decides=r"/snap/|snap\.docker",
            ),
            Alternative(
                "They lie in a folder that ldconfig does not know.",
                "'find / -name libnvidia-ml.so.1' finds it, and 'ldconfig -p' does not.",
                "add the folder to /etc/ld.so.conf.d and run ldconfig.",
            ),
        ),
    ),
    Signature(
        "toolkit-mount",
        "File of the driver that cannot be mounted",
        (
            r"nvidia-container-cli\S*: mount error: (?P<what>[^\"]*)",
            r"(?P<what>file creation failed: [^\"]*)",
        ),
        "NVIDIA's hook could not mount a file of the driver into the container.",
        "",
        detail="It says: {what}.",
        alternatives=(
            Alternative(
                "The image already has a file of that name: it was made from a container that had GPUs.",
                "the message says 'file exists'.",
                f"remove libcuda, libnvidia-* and nvidia-smi from the image when it is made, or {_USE_CDI}.",
                decides=r"file exists",
            ),
            Alternative(
                "A device node or file of the driver is not there.",
                "the message says 'stat failed' or 'no such file'.",
                "run 'nvidia-modprobe -m -u -c=0' on the host; see that the driver is installed whole.",
                decides=r"stat failed|no such file|open failed",
            ),
            Alternative(
                "The hook may not mount, as in a container or with a read-only root.",
                "the message says 'operation not permitted' or 'read-only'.",
                f"run it on the machine itself, or {_USE_CDI}.",
                decides=r"not permitted|read-only",
            ),
        ),
    ),
    Signature(
        "toolkit-requirement",
        "Image with a requirement that the toolkit cannot read",
        (r"requirement error: (?!unsatisfied)(?P<what>[^\"]*)", r"(?P<what>invalid expression)"),
        "The toolkit cannot read what the image requires of the driver (NVIDIA_REQUIRE_*).",
        "Set NVIDIA_DISABLE_REQUIRE=1 in vllm_env_extra, where the driver is known to be new enough, or update the"
        " toolkit.",
        detail="It says: {what}.",
    ),
    Signature(
        "cdi-conflict",
        "Two CDI specifications for one GPU",
        (r"conflicting device (?P<what>\\?\"?nvidia\.com/gpu=[^\"]*)",),
        "Two CDI specifications name the same GPUs, so the engine takes neither.",
        "Keep one of the files in /etc/cdi and /var/run/cdi that name nvidia.com/gpu ('nvidia-ctk cdi list', 'grep -l"
        " nvidia.com/gpu /etc/cdi/* /var/run/cdi/*'); nvidia-cdi-refresh writes the one below /var/run/cdi.",
        detail="It says: {what}.",
    ),
    Signature(
        "cdi-version",
        "CDI specification that the engine cannot read",
        (
            r"(?P<what>invalid (?:CDI )?[Ss]pec(?:ification)?[^\"]*version[^\"]*"
            r"|unsupported CDI (?:spec )?version[^\"]*)",
            r"(?P<what>failed to (?:parse|load|unmarshal) CDI [Ss]pec[^\"]*)",
            r"(?P<what>invalid CDI [Ss]pec[^\"]*)",
        ),
        "The engine cannot read the CDI specification.",
        "",
        detail="It says: {what}.",
        alternatives=(
            Alternative(
                "The toolkit is newer than the engine and writes a version that the engine does not know.",
                "the head of the file (cdiVersion) is higher than the engine's CDI; 'docker version'.",
                "update the engine.",
                decides=r"version|unknown field",
            ),
            Alternative(
                "The file is damaged or empty, as after a full disk.",
                "'nvidia-ctk cdi list' fails for it.",
                f"write the specification anew: {_NEW_SPEC}.",
            ),
        ),
    ),
    Signature(
        "cdi-missing",
        "No CDI specification that names the GPU",
        (
            r"unresolvable CDI devices? (?P<what>[^\s:\"]+)",
            r"(?P<what>failed to get CDI spec[^\"]*|no CDI specs? found[^\"]*)",
        ),
        "No CDI specification on the host names the GPU that the container is to have.",
        "",
        detail="It is {what}.",
        alternatives=(
            Alternative(
                "There is none, or it was written when there were other GPUs.",
                "'nvidia-ctk cdi list' does not list it.",
                f"write it: {_NEW_SPEC}.",
            ),
            Alternative(
                "The engine looks in other folders.",
                "'docker info --format {{.CDISpecDirs}}' does not have the folder of 'nvidia-ctk cdi list'.",
                'set "cdi-spec-dirs" in daemon.json, and restart the engine. A rootless engine looks below the user\'s'
                " folders.",
            ),
            Alternative(
                "The toolkit could not make the specification at the start of the container.",
                "'nvidia-ctk cdi generate >/dev/null' fails, and says why.",
                "go by what it says: mostly the driver does not work (nvidia-smi).",
                decides=r"runtime\.nvidia\.com/gpu",
            ),
        ),
    ),
    Signature(
        "cdi-hook",
        "Hook of CDI that fails",
        (
            r"(?P<what>(?:nvidia-cdi-hook|nvidia-ctk)\S*:? [^\"]*(?:no such file|not found|permission denied"
            r"|unknown command|flag provided but not defined|unrecognized)[^\"]*)",
            r"(?P<what>(?:fork/)?exec \S*(?:nvidia-cdi-hook|nvidia-ctk)\S*: [^\"]*)",
            r"(?P<what>error running createContainer hook[^\"]*)",
        ),
        "A hook that the CDI specification names has failed.",
        "",
        detail="It says: {what}.",
        alternatives=(
            Alternative(
                "The specification is of another version of the toolkit: its program was moved, or does not know the"
                " command.",
                "'grep -A3 hookName' of the specification names a path or a command that 'nvidia-cdi-hook --help'"
                " does not have.",
                f"write the specification anew: {_NEW_SPEC}.",
                decides=r"no such file|not found|unknown command|not defined|unrecognized",
            ),
            Alternative(
                "The hook itself fails in this container, as without ldconfig.",
                "the message says what it did.",
                "switch that hook off ('nvidia-ctk cdi generate --disable-hook=NAME'), or choose another image.",
            ),
        ),
    ),
    Signature(
        "toolkit-runtime",
        "NVIDIA's runtime that cannot be built up",
        (
            r"(?P<what>failed to create NVIDIA Container Runtime[^\"]*)",
            r"(?P<what>could not apply required modification to OCI specification[^\"]*)",
            r"(?P<what>unable to (?:load|parse) (?:config|/etc/nvidia-container-runtime)[^\"]*"
            r"|failed to load config[^\"]*)",
        ),
        "NVIDIA's runtime could not change the container's specification.",
        "",
        detail="It says: {what}.",
        alternatives=(
            Alternative(
                "Its settings are not valid, or name a mode that this host does not support.",
                "'nvidia-container-runtime --version' and /etc/nvidia-container-runtime/config.toml.",
                "write its settings anew: 'nvidia-ctk config --in-place', with mode = \"auto\".",
                decides=r"(?:load|parse|read)\w* \S*config|(?:invalid|unknown|unsupported)[^:]* mode",
            ),
            Alternative(
                "It finds no runc or crun.",
                "'which runc crun' finds neither on the engine's PATH.",
                "install runc, or correct runtimes in config.toml.",
                decides=r"runc|low-level runtime|executable file not found",
            ),
            Alternative(
                "It finds no driver or GPU.",
                "nvidia-smi on the host fails.",
                "go by what it says.",
                decides=r"NVML|device handle",
            ),
        ),
    ),
    Signature(
        "gpu-mig",
        "MIG in the way",
        (r"(?P<what>\bMIG\b[^\"]*(?:not|invalid|failed|unknown|insufficient)[^\"]*)",),
        "A GPU is split (MIG), or its parts are not as they are asked for.",
        "See 'nvidia-smi -L'. A server of whole GPUs needs MIG off ('nvidia-smi -mig 0' for each GPU, then a reset).",
        detail="It says: {what}.",
    ),
)
