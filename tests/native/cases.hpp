#pragma once

void test_credit_gate();
void test_completion_ring();
void test_wakeups();
void test_pump();
void test_bare_loop();
