# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes: What the host gives to a process: disk, rights, ports, limits, network."""

from __future__ import annotations

from ...._core.causes import Alternative, Signature

SYSTEM = (
    Signature(
        "inotify-limit",
        "No more watches of files",
        (
            r"inotify (?:watch|instance) limit reached|inotify\w*.*(?:[Nn]o space left|[Tt]oo many open files)",
            r"fsnotify watcher: [Tt]oo many open files|Failed to allocate directory watch",
        ),
        "The kernel admits no more watches of files (inotify). No disk is full.",
        "Raise them on the host: 'sysctl fs.inotify.max_user_instances=8192 fs.inotify.max_user_watches=1048576', and"
        " the same in /etc/sysctl.d.",
    ),
    Signature(
        "inotify-limit",
        "No more watches of files",
        (r"[Nn]o space left on device|[Tt]oo many open files",),
        "The kernel admits no more watches of files (inotify). No disk is full.",
        "Raise them on the host: 'sysctl fs.inotify.max_user_instances=8192 fs.inotify.max_user_watches=1048576', and"
        " the same in /etc/sysctl.d.",
        within=r"inotify|watchdog/|watchfiles/",
    ),
    Signature(
        "disk-full",
        "Disk full",
        (
            # Of namespaces and cgroups the kernel says the same.
            r"^(?!.*(?:unshare|/sys/fs/cgroup|inotify|namespace|\bbpf)).*[Nn]o space left on device",
            r"[Dd]isk quota exceeded",
            r"os error (?:28|122)\b",
        ),
        "A disk is full: that of the weights, of the compile cache, of the container's /tmp, or of Docker itself.",
        "See 'df -h' for vllm_hf_home, vllm_state_dir and Docker's data folder, and make room.",
    ),
    Signature(
        "read-only",
        "Read-only file system",
        (
            r"Read-only file system:? '?(?P<name>[^'\s]*)",
            r"os error 30\b",
        ),
        "The server writes to a folder that is mounted read-only.",
        "Let it write elsewhere: below /root/.cache/vllm, which is vllm_state_dir/cache on the host. The cache of"
        " weights stays read-only.",
        detail="It is {name}.",
    ),
    Signature(
        "gpu-permission",
        "The container may not open the GPUs",
        (
            r"(?P<name>/dev/(?:nvidia|infiniband)\S*?)['\"]?: (?:[Pp]ermission denied|[Oo]peration not permitted)",
            r"(?:[Pp]ermission denied|[Oo]peration not permitted):? ['\"]?(?P<name>/dev/(?:nvidia"
            r"|infiniband)\S*?)['\"]?$",
        ),
        "A process may not open a device node.",
        "",
        detail="It is {name}.",
        alternatives=(
            Alternative(
                "The container's cgroup does not list the device: the GPUs were not requested, or systemd has taken"
                " them away since ('systemctl daemon-reload').",
                "a new container lists the GPUs ('docker run --rm --gpus all --entrypoint nvidia-smi IMAGE -L').",
                "restart the server; with CDI (vllm_gpu_request: cdi) it does not happen again.",
            ),
            Alternative(
                "The node belongs to others on the host.",
                "'ls -l /dev/nvidia*' is not crw-rw-rw-.",
                "set NVreg_DeviceFileMode=0666 for the module nvidia, or run the container as root.",
            ),
        ),
    ),
    Signature(
        "read-only",
        "Read-only file system",
        (r"No usable temporary directory", r"cannot cache function"),
        "The server finds no folder that it may write to.",
        "See /tmp and /root in the container: mounted read-only, full ('df -h'), or of another user. Below"
        " /root/.cache/vllm, which is vllm_state_dir/cache on the host, it may write.",
    ),
    Signature(
        "unknown-user",
        "Container runs as a user that it does not know",
        (r"KeyError: '?getpwuid\(\): uid not found: (?P<uid>\d+)",),
        "torch asks for the name of its user, and the image has none for that number.",
        "Start the container as the image's own user, without --user. Or set USER: vllm in vllm_env_extra.",
        detail="The number is {uid}.",
    ),
    Signature(
        "permission-denied",
        "Permission denied",
        (
            r"Permission denied:? '(?P<name>[^']+)'",
            r"^PermissionError: \[Errno 13\] Permission denied: ",
            r"[Pp]ermission denied.*(?:cache|hub|/root|/tmp)",
            r"os error 13\b",
        ),
        "The server may not read, write or execute a file.",
        "Give the file to the user that the container runs as, or run the role hgx.inference.hf_cache, which sets"
        " owner and mode. Where owner and mode are right, SELinux or AppArmor forbids it ('ausearch -m avc', 'dmesg |"
        " grep -i apparmor').",
        detail="It is {name}.",
    ),
    Signature(
        "port-taken-host",
        "Port of the host taken",
        (
            r"Bind for (?P<address>\S+):(?P<port>\d+) failed: port is already allocated",
            r"listen tcp\S* (?P<address>\S*):(?P<port>\d+): bind: address already in use",
            r"failed to bind (?:host )?port .*?(?P<address>[\d.:\[\]]*):(?P<port>\d+)\b.*address already in use",
            r"port is already allocated",
        ),
        "Another program or container holds the port of the host, so Docker did not start the server.",
        "Choose another vllm_port, or end what holds it.",
        detail="It is port {port}.",
        advice="'ss -ltnp sport = :{port}' and 'docker ps' tell who that is.",
    ),
    Signature(
        "bind-address",
        "Address that the host does not have",
        (r"(?i)(?:bind|listen)\b.*cannot assign requested address",),
        "The host has no such address to listen on.",
        "Set vllm_bind_address to an address of the host ('ip -brief address'), or leave it at 127.0.0.1.",
    ),
    Signature(
        "bind-address",
        "Address that the host does not have",
        (r"(?i)cannot assign requested address",),
        "The host has no such address to listen on.",
        "Set vllm_bind_address to an address of the host ('ip -brief address'), or leave it at 127.0.0.1;"
        " VLLM_HOST_IP and MASTER_ADDR in vllm_env_extra must be addresses of the host, too.",
        within=r"create_server_socket|\.bind\(|in bind\b|TCPStore|zmq",
    ),
    Signature(
        "distributed-port-taken",
        "Port between the processes taken",
        (
            r"(?:server socket has failed to (?:listen|bind)|EADDRINUSE).*port: (?P<port>\d+)",
            r"EADDRINUSE|DistNetworkError.*already in use",
            r"ZMQError: Address already in use",
            r"(?:gloo|NCCL|nccl|c10d|TCPStore|tcp://).*[Aa]ddress already in use",
        ),
        "A port over which the server's processes talk to each other is taken.",
        "Try again. Beside another server with the host's network, give each its own VLLM_PORT or MASTER_PORT.",
        detail="It is port {port}.",
    ),
    Signature(
        "port-taken",
        "Port taken inside the container",
        (
            r"attempting to bind on address \('(?P<address>[^']*)', (?P<port>\d+)[^)]*\): \[?.*address"
            r" already in use",
            r"[Aa]ddress already in use",
        ),
        "Another program in the container, or on the host's network, holds the port on which the server listens.",
        "Choose another port, or end what holds it.",
        detail="It is port {port}.",
        advice="'ss -ltnp sport = :{port}' tells who that is.",
        without=r"torch/distributed/|vllm/distributed/",
    ),
    Signature(
        "numa-bind",
        "Memory that may not be bound to a NUMA node",
        (r"setting membind: (?P<what>Operation not permitted|Invalid argument)",),
        "numactl starts the server's processes and may not bind their memory to a NUMA node.",
        "Take numa-bind out of the engine's arguments, or set vllm_capabilities_extra: [SYS_NICE].",
        detail="It says: {what}.",
    ),
    Signature(
        "too-many-files",
        "Too many open files",
        (r"[Tt]oo many open files",),
        "The server needs more open files than it may have.",
        "Raise the limit: default-ulimits in Docker's daemon.json, or LimitNOFILE of the engine's unit.",
    ),
    Signature(
        "process-limit",
        "No more processes or threads",
        (
            r"can't start new thread|pthread_create failed|[Tt]hread creation failed",
            r"(?:fork|clone3?|vfork|exec)\b.*Resource temporarily unavailable",
            r"pids\.max|cgroup: fork rejected",
        ),
        "The server needs more processes or threads than it may have.",
        "Raise the limit of the container (pids) or of the host (ulimit -u, kernel.threads-max).",
    ),
    Signature(
        "process-limit",
        "No more processes or threads",
        (r"Resource temporarily unavailable",),
        "The server needs more processes or threads than it may have.",
        "Raise the limit of the container (pids) or of the host (ulimit -u, kernel.threads-max).",
        within=r"in _?fork|subprocess\.py|popen_\w+\.py|os\.fork|_fork_exec",
    ),
    Signature(
        "network-interface",
        "No way between the ranks",
        (
            r"[Uu]nable to (?:resolve hostname|find address)|Unable to find interface",
            r"[Ff]ailed to find (?:a )?(?:suitable )?(?:network )?interface",
            r"Bootstrap : no socket interface found",
        ),
        "The server's processes do not find each other over the network: a name or an interface is not there.",
        "See that the host's name resolves to one of its addresses; else name the interface in GLOO_SOCKET_IFNAME and"
        " NCCL_SOCKET_IFNAME, or the address in VLLM_HOST_IP (vllm_env_extra).",
    ),
    Signature(
        "network-interface",
        "No way between the ranks",
        (r"gaierror",),
        "The server's processes do not find each other over the network: a name is not known.",
        "See that the host's name resolves to one of its addresses; else name the address in VLLM_HOST_IP"
        " (vllm_env_extra), and correct MASTER_ADDR there.",
        within=r"torch/distributed/|parallel_state|network_utils|get_(?:distributed_init|loopback|open|ip)|zmq",
        without=r"kv_transfer|redis|requests/|urllib3|httpx|botocore",
    ),
    Signature(
        "network-interface",
        "No way between the ranks",
        (
            r"Gloo connectFullMesh failed",
            r"client socket has (?:timed out|failed to connect)|DistNetworkError",
        ),
        "A process of the server did not reach another one over the network.",
        "",
        alternatives=(
            Alternative(
                "They use an address or an interface at which nobody answers.",
                "'getent hosts $(hostname)' gives no address of 'ip -brief address'.",
                "name the interface in GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME, or the address in VLLM_HOST_IP"
                " (vllm_env_extra).",
            ),
            Alternative(
                "The other process has ended before.",
                "a worker of the log says its last word earlier than the others; 'dmesg | grep -i -e oom -e xid'.",
                "see to that process.",
            ),
            Alternative(
                "A firewall is between them.",
                "several nodes serve together, or the host's firewall filters its own addresses.",
                "admit the nodes' private network.",
            ),
        ),
    ),
)
