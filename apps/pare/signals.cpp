#include "signals.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>

namespace pare::app {
namespace {

std::atomic<Context*> running{nullptr};
static_assert(std::atomic<Context*>::is_always_lock_free);

bool pipe_was_ignored = false;

/// A signal that asks to end. Batch systems send the last ones before they kill.
struct Request {
  int signal;
  bool again_kills;  // else it may come twice by itself: from a terminal and its shell, each second
};
constexpr std::array kRequests = {Request{SIGINT, true},   Request{SIGTERM, true},
                                  Request{SIGQUIT, true},  Request{SIGHUP, false},
                                  Request{SIGXCPU, false}, Request{SIGALRM, false},
                                  Request{SIGUSR1, false}, Request{SIGUSR2, false}};

void on_signal(int) {
  if (Context* ctx = running.load()) ctx->cancel();
}

}  // namespace

CancelOnSignal::CancelOnSignal(Context& ctx) {
  running = &ctx;
  for (const auto& [signal, again_kills] : kRequests) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = static_cast<int>(again_kills ? SA_RESETHAND | SA_RESTART : SA_RESTART);
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, nullptr);
    before_.emplace(signal, before);
  }
  // A file-size limit then fails the write like a full disk does, and is cleaned up after.
  std::signal(SIGXFSZ, SIG_IGN);
}

CancelOnSignal::~CancelOnSignal() {
  for (const auto& [signal, before] : before_)
    sigaction(signal, &before, nullptr);
  running = nullptr;
}

void outlive_readers() noexcept { pipe_was_ignored = std::signal(SIGPIPE, SIG_IGN) == SIG_IGN; }

void end_without_reader() noexcept {
  if (pipe_was_ignored) return;
  std::signal(SIGPIPE, SIG_DFL);
  std::raise(SIGPIPE);
}

void occupy_standard_files() noexcept {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    // The lowest number that is free is the one that was found free.
    static_cast<void>(open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY));
  }
}

}  // namespace pare::app
