#include <fmt/format.h>
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <sstream>
#include <string>
#include <string_view>

#include "apps/cli/help_format.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/message.h"
#include "apps/cli/usage_error.h"
#include "apps/commands/distill.h"
#include "apps/commands/evaluate.h"
#include "apps/commands/export.h"
#include "apps/commands/info.h"
#include "apps/commands/prepare.h"
#include "apps/commands/recommend.h"
#include "apps/commands/reproduce.h"
#include "apps/commands/search.h"
#include "apps/commands/synthesize.h"
#include "apps/commands/train.h"
#include "data/version.h"

namespace {

constexpr int kFailure = 1;
constexpr int kUsage = 2;

int fail(std::string_view message, int exit_code = kFailure) {
  std::fflush(stdout);
  derrd::say("derrd: {}", message);
  return exit_code;
}

/// Ends the program after an exception that nobody can catch, in a thread of a library.
[[noreturn]] void end_uncaught() {
  const std::exception_ptr uncaught = std::current_exception();
  if (!uncaught) std::abort();
  try {
    std::rethrow_exception(uncaught);
  } catch (const std::exception& e) {
    derrd::say("derrd: {}", e.what());
  } catch (...) {
    derrd::say("derrd: an unknown failure");
  }
  std::_Exit(kFailure);
}

/// Prints what CLI11 has to say: a help text, the version, or a usage error.
int tell(const CLI::App& app, const CLI::ParseError& e) {
  std::ostringstream out, err;
  const int code = app.exit(e, out, err) == 0 ? 0 : kUsage;
  derrd::print_text(out.str());
  std::string message = err.str();
  if (message.ends_with('\n')) message.pop_back();
  if (code != 0) derrd::say_line(message);
  return code;
}

int parse_and_run(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& e) {
    return tell(app, e);
  }
}

/// Has large blocks go back to the system as soon as they are freed. By default glibc keeps more of
/// them the more are freed, so that a program may hold twice the memory that it uses.
void return_large_blocks() {
#ifdef M_MMAP_THRESHOLD
  constexpr int kLarge = 1 << 20;  // bytes
  mallopt(M_MMAP_THRESHOLD, kLarge);
#endif
}

}  // namespace

int main(int argc, char** argv) {
  std::set_terminate(end_uncaught);
  derrd::ignore_broken_pipes();
  std::signal(SIGXFSZ, SIG_IGN);  // a file beyond ulimit -f: writing fails, as on a full disk
  return_large_blocks();
  CLI::App app("Trains recommenders, distils them into small ones (DE-RRD), and recommends items.",
               "derrd");
  app.formatter(std::make_shared<derrd::HelpFormat>());
  app.set_version_flag("--version", fmt::format("derrd {}", derrd::kVersion));
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 1 failure, 2 usage error. A training, reproduce or search that a signal "
      "asks\nto end finishes the epoch, writes its results, and exits with 128 + the signal's "
      "number: 130 after\nCtrl-C, 143 SIGTERM, 129 SIGHUP (a closed terminal), 138 SIGUSR1, 152 "
      "SIGXCPU (ulimit -t).\n"
      "Example:\n  derrd prepare --help");
  derrd::add_prepare(app);
  derrd::add_synthesize(app);
  derrd::add_train(app);
  derrd::add_distill(app);
  derrd::add_evaluate(app);
  derrd::add_recommend(app);
  derrd::add_reproduce(app);
  derrd::add_search(app);
  derrd::add_export(app);
  derrd::add_info(app);

  try {
    const int code = parse_and_run(app, argc, argv);
    if (code == 0) derrd::finish_output();
    return code;
  } catch (const derrd::UsageError& e) {
    return fail(std::string(e.what()) + "\nRun with --help for more information.", kUsage);
  } catch (const derrd::Interrupted& e) {
    return fail(e.what(), e.exit_code);
  } catch (const std::bad_alloc&) {
    return fail("out of memory");
  } catch (const std::exception& e) {
    return fail(e.what());
  }
}
