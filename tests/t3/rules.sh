#!/bin/sh
# The rules that fakekvm enforces are those of this host's KVM: same calls, same errno.
#
# Does not prove the rules of KVM's halves for CPUs this host does not have.
# shellcheck source=tests/t3/lib
. "$(dirname "$0")/lib"
exec "$BUILD/tests/unit/$ARCH/test_fakekvm" real
