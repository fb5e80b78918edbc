#include "apps/cli/progress.h"

#include <fmt/format.h>
#include <array>
#include <vector>

#include "apps/cli/message.h"

namespace derrd {

namespace {

/// "79.8k": three digits, five characters.
std::string compact(double value) {
  size_t thousands = 0;
  constexpr std::array<const char*, 5> kSuffixes = {"", "k", "M", "G", "T"};
  for (; value >= 999.5 && thousands + 1 < kSuffixes.size(); ++thousands) value /= 1000;
  const int decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : value >= 0.995 ? 2 : 3;
  return fmt::format("{:.{}f}{}", value, decimals, kSuffixes[thousands]);
}

/// ".4612" or "1.000".
std::string compact_ratio(double ratio) {
  const std::string text = fmt::format("{:.4f}", ratio);
  return text.starts_with("0.") ? text.substr(1) : text.substr(0, 5);
}

}  // namespace

std::string format_duration(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole >= 36000) return fmt::format("{}h", whole / 3600);
  if (whole >= 3600) return fmt::format("{}h{:02}m", whole / 3600, whole % 3600 / 60);
  if (whole >= 60) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  return fmt::format("{}s", whole);
}

std::string progress_line(const EpochRecord& record, const EarlyStopping& early_stopping,
                          const ProgressLimits& limits, double seconds_per_epoch, size_t width) {
  const EarlyStopping::State& state = early_stopping.state();
  std::string text =
      fmt::format("epoch {}/{}  {} left", record.epoch, limits.epochs,
                  format_duration(seconds_per_epoch * (limits.epochs - record.epoch - 1)));
  // The most important first: the rest may not fit.
  std::vector<std::string> fields;
  if (record.decisive) {
    const auto& [metric, value] = *record.decisive;
    fields = {fmt::format("  {} {}", metric, compact_ratio(value)),
              " best " + compact_ratio(early_stopping.best_value())};
  }
  const char* separator = "  ";
  for (const auto& [name, loss] : record.losses) {
    fields.push_back(separator + fmt::format("{} {}", name, compact(loss)));
    separator = " ";
  }
  if (record.decisive) {
    fields.push_back(fmt::format("  best at {}", state.best[0].epoch));
    fields.push_back(
        fmt::format("  patience {}", limits.patience - (record.epoch - state.last_improvement)));
  }
  fields.push_back(fmt::format("  {:.3g} s/epoch", seconds_per_epoch));
  for (const std::string& field : fields) {
    if (text.size() + field.size() > width) break;
    text += field;
  }
  return text.substr(0, width);
}

Progress::Progress(ProgressLimits limits, bool quiet)
    : limits_(limits), quiet_(quiet), terminal_(on_terminal()) {}

void Progress::show(const EpochRecord& record, const EarlyStopping& early_stopping) {
  constexpr int kEpochsPerLine = 10;
  constexpr auto kLongestSilence = std::chrono::seconds(10);
  ++shown_epochs_;
  const double seconds = record.seconds.prepare + record.seconds.train + record.seconds.evaluate;
  constexpr double kNewest = 0.2;  // its weight in the mean
  seconds_per_epoch_ += (shown_epochs_ == 1 ? 1 : kNewest) * (seconds - seconds_per_epoch_);
  if (quiet_) return;

  const size_t width = terminal_ ? terminal_width() - 1 : std::string::npos;
  const std::string text =
      progress_line(record, early_stopping, limits_, seconds_per_epoch_, width);
  if (terminal_) {
    show_status(text);
    return;
  }
  const Clock::time_point now = Clock::now();
  const bool due = shown_epochs_ == 1 || record.epoch % kEpochsPerLine == 0 ||
                   now - last_line_ >= kLongestSilence;
  if (!due) return;
  say_line(text);
  last_line_ = now;
}

void Progress::finish() {
  if (terminal_) keep_status();
}

}  // namespace derrd
