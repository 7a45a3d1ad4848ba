/*
 * Linked into every native program that the executable carries: the program ends when the process
 * that started it ends, even by SIGKILL, so that nothing is ever left behind.
 *
 * It acts only when CHATRANDOM_PARENT_PID names the starter, so the program can be run by hand as well.
 * The starter's pid is compared because the starter may be gone before prctl() is reached; "our parent
 * is 1" would not do as a test, in a container the starter itself is often process 1.
 *
 * The kernel clears the wish in a forked child, so a child of ours (Valkey rewriting its log) makes it again.
 * Hazard: the signal comes when the *thread* that spawned us ends. Spawn from the main thread.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static pid_t parent;

static void end_with_parent(void) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
}

static void before_fork(void) { parent = getpid(); }

__attribute__((constructor)) static void start(void) {
  const char *pid = getenv("CHATRANDOM_PARENT_PID");
  if (!pid) return;
  parent = (pid_t)atol(pid);
  end_with_parent();
  pthread_atfork(before_fork, NULL, end_with_parent);
}
