#include "apps/experiments/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "apps/cli/interrupt.h"
#include "data/error.h"

namespace derrd {

namespace {

/// The child's work between fork and exec, where only few functions may be called.
[[noreturn]] void become(char* const* arguments, const char* output, const char* errors,
                         pid_t parent, const sigset_t& mask) {
  constexpr int kNotStarted = 127;
  InterruptWatch::release();
  std::signal(SIGTERM, SIG_DFL);  // by which the parent ends it
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(kNotStarted);  // it died before
  const int null = ::open("/dev/null", O_RDONLY);
  const int out = ::open(output, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  const int err = ::open(errors, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0666);
  if (null < 0 || out < 0 || err < 0) ::_exit(kNotStarted);
  ::dup2(null, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  ::execv("/proc/self/exe", arguments);
  ::_exit(kNotStarted);
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& arguments,
                           const std::filesystem::path& output,
                           const std::filesystem::path& errors) {
  std::vector<std::string> owned = {"derrd"};
  owned.insert(owned.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& argument : owned) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  // A signal that arrived while the child still has our handlers would be lost.
  sigset_t all, mask;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &mask);
  process_ = ::fork();
  if (process_ == 0) become(argv.data(), output.c_str(), errors.c_str(), parent, mask);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  if (process_ < 0) {
    throw Error(fmt::format("can't start another process: {}", std::strerror(errno)));
  }
}

ChildProcess::~ChildProcess() {
  if (exit_code_) return;
  terminate();
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

std::optional<int> ChildProcess::poll() {
  if (exit_code_) return exit_code_;
  int status = 0;
  if (::waitpid(process_, &status, WNOHANG) == process_) {
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return exit_code_;
}

void ChildProcess::terminate() {
  // A second signal would end a training at once, and lose its epoch.
  if (!terminated_ && !exit_code_) ::kill(process_, SIGTERM);
  terminated_ = true;
}

}  // namespace derrd
