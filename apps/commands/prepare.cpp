#include "apps/commands/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/cli/config_option.h"
#include "apps/cli/option_checks.h"
#include "apps/cli/output_checks.h"
#include "apps/cli/parse_number.h"
#include "apps/cli/usage_error.h"
#include "apps/commands/write_dataset.h"
#include "data/dataset.h"
#include "data/error.h"
#include "data/filter.h"
#include "data/readers.h"
#include "data/ready_split.h"
#include "data/split.h"

namespace derrd {

namespace {

struct PrepareOptions {
  std::string input;
  std::string output;
  std::string train, valid, test;
  std::string format = "auto";
  std::string separator;
  std::string header = "auto";
  std::string on_bad_line = "stop";
  ReadOptions read;
  double min_rating = 0.0;
  int64_t min_user = 5;
  int64_t min_item = 0;
  uint64_t seed = 0;
  std::string candidates = "499";
  std::string candidates_file;
  int threads = 1;
};

nlohmann::json read_options_json(const PrepareOptions& options) {
  nlohmann::json json{{"command", "prepare"}, {"format", options.format}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) json[name] = value;
  };
  add("separator", options.separator);
  add("user-column", options.read.user_column);
  add("item-column", options.read.item_column);
  add("rating-column", options.read.rating_column);
  if (options.read.min_rating) json["min-rating"] = *options.read.min_rating;
  return json;
}

void prepare_interactions(PrepareOptions options, int64_t num_candidates) {
  Interactions read = read_interactions(options.input, options.read);
  options.format = read.format;
  fmt::print("{}: format {}: {} interactions of {} users with {} items\n", options.input,
             read.format, read.size(), read.user_ids.size(), read.item_ids.size());
  if (read.duplicates > 0) fmt::print("dropped {} repeated interactions\n", read.duplicates);
  if (read.below_rating > 0)
    fmt::print("dropped {} interactions below the rating\n", read.below_rating);
  Interactions kept = filter(std::move(read), options.min_user, options.min_item);
  if (kept.size() == 0) {
    throw Error(fmt::format("{}: no interactions remain; lower --min-user {} or --min-item {}",
                            options.input, options.min_user, options.min_item));
  }

  Dataset dataset = split_leave_one_out(kept, options.seed);
  kept = Interactions();  // the candidates take more memory than anything before
  draw_candidates(dataset, num_candidates, options.seed);
  nlohmann::json json = read_options_json(options);
  json.update({{"input", options.input},
               {"min-user", options.min_user},
               {"min-item", options.min_item},
               {"split-seed", options.seed},
               {"candidates", num_candidates}});
  dataset.options = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  write_dataset(dataset, options.output);
}

void prepare_ready_split(const PrepareOptions& options, std::optional<int64_t> num_candidates) {
  ReadySplit files{options.train, std::nullopt, options.test, std::nullopt};
  if (!options.valid.empty()) files.valid = options.valid;
  if (!num_candidates) files.candidates = options.candidates_file;
  Dataset dataset = read_ready_split(files, options.read);
  dataset.seed = options.seed;
  if (dataset.train.num_interactions() == 0) {
    throw Error(
        fmt::format("{}: has no interactions; check that it is the right file", options.train));
  }
  if (num_candidates) draw_candidates(dataset, *num_candidates, options.seed);
  nlohmann::json json = read_options_json(options);
  json.update({{"train", options.train}, {"test", options.test}});
  if (files.valid) json["valid"] = options.valid;
  if (num_candidates) {
    json.update({{"split-seed", options.seed}, {"candidates", *num_candidates}});
  } else {
    json["candidates-file"] = options.candidates_file;
  }
  dataset.options = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  write_dataset(dataset, options.output);
}

void run(CLI::App& command, PrepareOptions options) {
  options.read.format = format_from_name(options.format);
  options.read.header = options.header == "yes"  ? Header::kYes
                        : options.header == "no" ? Header::kNo
                                                 : Header::kAuto;
  if (options.on_bad_line == "skip") options.read.on_bad_line = OnBadLine::kSkip;
  if (command.count("--separator") > 0) {
    try {
      options.read.separator = separator_from_name(options.separator);
    } catch (const Error& error) {
      throw UsageError(error.what());
    }
    if (options.format != "auto" && options.format != "table" && options.format != "tsv" &&
        options.format != "csv") {
      throw UsageError("--separator goes with the formats auto, table, tsv and csv");
    }
  }
  if (!options.read.user_column.empty() && options.read.user_column == options.read.item_column) {
    throw UsageError("--user-column and --item-column name the same column; choose two");
  }
  options.read.remark = [](std::string_view remark) {
    fmt::print("{}\n", remark);
    std::fflush(stdout);  // reading on may take a while
  };
  if (command.count("--min-rating") > 0) {
    if (!std::isfinite(options.min_rating))
      throw UsageError("--min-rating has to be a finite number");
    options.read.min_rating = options.min_rating;
  }

  const bool ready = !options.train.empty();
  std::optional<int64_t> num_candidates = parse_number<int64_t>(options.candidates);
  if (!num_candidates) {
    if (!options.candidates_file.empty()) throw UsageError("give one file of candidates, not two");
    options.candidates_file = options.candidates;
  } else if (*num_candidates < 1) {
    throw UsageError("--candidates has to be at least 1");
  }
  if (!options.candidates_file.empty()) num_candidates.reset();

  if (!ready) {
    if (options.input.empty()) throw UsageError("name an INPUT, or --train and --test");
    if (!num_candidates) throw UsageError("a file of candidates goes with --train and --test only");
    check_outputs({{"INPUT", options.input}}, {{"--output", options.output}});
    prepare_interactions(std::move(options), *num_candidates);
    return;
  }
  if (!options.input.empty()) throw UsageError("give either an INPUT or a ready split, not both");
  if (command.count("--min-user") + command.count("--min-item") > 0) {
    throw UsageError("a ready split is not filtered; leave --min-user and --min-item out");
  }
  const std::vector<std::string> parts{options.train, options.valid, options.test,
                                       options.candidates_file};
  if (std::ranges::count(parts, "-") > 1) {
    throw UsageError("standard input can be one of the files only; name the others");
  }
  check_outputs({{"--train", options.train},
                 {"--valid", options.valid},
                 {"--test", options.test},
                 {"--candidates-file", options.candidates_file}},
                {{"--output", options.output}});
  prepare_ready_split(options, num_candidates);
}

}  // namespace

void add_prepare(CLI::App& app) {
  auto options = std::make_shared<PrepareOptions>();
  CLI::App* command =
      app.add_subcommand("prepare", "Read, filter and split interactions into a data set");
  add_config_option(*command);
  command
      ->add_option("input", options->input,
                   "File of interactions, plain or packed by gzip; -: standard input")
      ->type_name("INPUT");
  command->add_option("-o,--output", options->output, "Data set to write")
      ->required()
      ->check(file_name())
      ->type_name("FILE");
  command
      ->add_option("--format", options->format,
                   "Format of the files: auto, citeulike (a line per user: count, items), "
                   "adjacency (user, items), tsv, csv, table (user, item[, rating[, time]] between "
                   "tabs, commas, any --separator), inter (RecBole), movielens "
                   "(user::item::rating::time)")
      ->check(CLI::IsMember(
          {"auto", "citeulike", "adjacency", "tsv", "csv", "table", "inter", "movielens"}))
      ->capture_default_str();
  command->add_option(
      "--separator", options->separator,
      "Separator of a table's columns: tab, comma, semicolon, blanks, :: or one character "
      "[what most lines agree on]");
  command->add_option("--user-column", options->read.user_column,
                      "Number (from 1) or name of the user column [by the header's names, else 1]");
  command->add_option("--item-column", options->read.item_column,
                      "Number or name of the item column [by the header's names, else 2]");
  command->add_option("--rating-column", options->read.rating_column,
                      "Number or name of the rating column [by the header's names, else 3]");
  command->add_option("--min-rating", options->min_rating,
                      "Lowest rating to keep; interactions below it are dropped [keep all]");
  command
      ->add_option("--header", options->header,
                   "Treatment of the first line. yes: it names the columns; no: it is data; auto: "
                   "decide by its contents")
      ->check(CLI::IsMember({"auto", "yes", "no"}))
      ->capture_default_str();
  command
      ->add_option(
          "--on-bad-line", options->on_bad_line,
          "Treatment of a line that can't be read. stop: with an error; skip: count it and "
          "name the first three")
      ->check(CLI::IsMember({"stop", "skip"}))
      ->capture_default_str();
  command
      ->add_option(
          "--min-user", options->min_user,
          "Minimum number of items per user. Users and items below their minimum are removed "
          "repeatedly, until none is left")
      ->check(at_least(0))
      ->capture_default_str();
  command->add_option("--min-item", options->min_item, "Minimum number of users per item")
      ->check(at_least(0))
      ->capture_default_str();
  command
      ->add_option("--split-seed,--seed", options->seed, "Seed of the split and of the candidates")
      ->check(seed())
      ->capture_default_str();
  command
      ->add_option("--candidates", options->candidates,
                   "Number of candidates per user; for a ready split also a file of them")
      ->capture_default_str();
  auto* train =
      command->add_option("--train", options->train, "Ready split: file of training interactions");
  auto* valid = command->add_option("--valid", options->valid,
                                    "Ready split: file of validation interactions [none]");
  auto* test =
      command->add_option("--test", options->test, "Ready split: file of test interactions");
  train->needs(test);
  valid->needs(train);
  test->needs(train);
  command
      ->add_option("--candidates-file", options->candidates_file,
                   "Ready split: file of candidates (user, item)")
      ->needs(train);
  command->add_option("--threads", options->threads, "Ignored: this command uses one thread")
      ->check(count_from(0))
      ->capture_default_str();
  command->footer(
      "Example:\n  derrd prepare users.dat --format citeulike --min-user 5 -o "
      "citeulike.safetensors");
  command->callback([command, options] { run(*command, *options); });
}

}  // namespace derrd
