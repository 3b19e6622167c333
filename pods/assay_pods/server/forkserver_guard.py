"""Imported by the fork server before anything else: ends it with the pod, which the standard library alone does not.

Run processes keep the standard library's own life line of the fork server open, so it would outlive a killed pod, and the
run processes, whose parent it is, with it. This module acts on import because a fork server can be told nothing else.
"""

import os

from assay_pods.server.isolation import die_with_parent

POD_PID_VARIABLE = "ASSAY_POD_PID"
"""Names the pod's process to its fork server."""

_pod_pid = os.environ.get(POD_PID_VARIABLE)
if _pod_pid is not None and int(_pod_pid) == os.getppid():
    die_with_parent()
    # The pod may have died between the test above and the request to the kernel.
    if os.getppid() != int(_pod_pid):
        os._exit(1)
