#!/bin/sh
# The same for rules that come from the CPU (VMX, SVM), where KVM uses one.
#
# Does not prove the rules of KVM's x86 halves for CPUs this host does not have.
# shellcheck source=tests/t3/lib
. "$(dirname "$0")/../lib"
exec "$BUILD/tests/unit/x86/test_fakekvm" real-cpu
