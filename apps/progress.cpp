#include "apps/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

namespace derrd {

namespace {

/// Columns of the terminal behind stderr.
size_t terminal_width() {
  winsize size = {};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

std::string format_duration(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole >= 3600) return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
  if (whole >= 60) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} s", whole);
}

Progress::Progress(Options options) : options_(options), terminal_(::isatty(STDERR_FILENO) != 0) {}

void Progress::show(const EpochRecord& record, const EarlyStopping& early_stopping) {
  constexpr int kEpochsPerLine = 10;
  constexpr auto kLongestSilence = std::chrono::seconds(10);
  ++shown_epochs_;
  seconds_ += record.seconds.prepare + record.seconds.train + record.seconds.evaluate;
  if (options_.quiet) return;

  const std::string text = line(record, early_stopping);
  if (terminal_) {
    // Return, erase the line, and no more than fits: a wrapped line could not be erased.
    fmt::print(stderr, "\r\x1b[K{}", text.substr(0, terminal_width() - 1));
    line_open_ = true;
    return;
  }
  const Clock::time_point now = Clock::now();
  const bool due = shown_epochs_ == 1 || record.epoch % kEpochsPerLine == 0 ||
                   now - last_line_ >= kLongestSilence;
  if (!due) return;
  fmt::print(stderr, "{}\n", text);
  last_line_ = now;
}

void Progress::finish() {
  if (line_open_) fmt::print(stderr, "\n");
  line_open_ = false;
}

std::string Progress::line(const EpochRecord& record, const EarlyStopping& early_stopping) const {
  std::string text = fmt::format("epoch {}/{}", record.epoch, options_.epochs);
  for (const auto& [name, loss] : record.losses) text += fmt::format("  {} {:.5g}", name, loss);
  const int best_epoch = early_stopping.best_epoch();
  text += fmt::format("  valid H@5 {:.4f}", record.evaluation.valid.hit[0]);
  if (best_epoch >= 0) {
    const auto& best = early_stopping.state().best[0];
    text += fmt::format(" (best {:.4f} at {})", best.evaluation.valid.hit[0], best_epoch);
  }
  const double per_epoch = seconds_ / shown_epochs_;
  const int idle = record.epoch - early_stopping.state().last_improvement;
  text += fmt::format("  {:.3g} s/epoch  at most {} left  patience {}", per_epoch,
                      format_duration(per_epoch * (options_.epochs - record.epoch - 1)),
                      options_.patience - idle);
  return text;
}

}  // namespace derrd
