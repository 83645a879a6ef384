#include <cstdio>

#include "cases.hpp"

int main() {
  test_credit_gate();
  test_completion_ring();
  test_wakeups();
  test_pump();
  test_bare_loop();
  std::puts("all native tests passed");
}
