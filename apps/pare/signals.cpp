#include "signals.h"

#include <atomic>
#include <csignal>

namespace pare::app {
namespace {

std::atomic<Context*> running{nullptr};
static_assert(std::atomic<Context*>::is_always_lock_free);

/// SA_RESETHAND has put the default action back, so a second signal ends the process.
void on_signal(int) {
  if (Context* ctx = running.load()) ctx->cancel();
}

void handle(int signal) {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

}  // namespace

CancelOnSignal::CancelOnSignal(Context& ctx) {
  running = &ctx;
  handle(SIGINT);
  handle(SIGTERM);
  // A file-size limit then fails the write like a full disk does, and is cleaned up after.
  std::signal(SIGXFSZ, SIG_IGN);
}

CancelOnSignal::~CancelOnSignal() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  running = nullptr;
}

}  // namespace pare::app
