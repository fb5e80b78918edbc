#include "apps/commands/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/cli/config_option.h"
#include "apps/cli/memory_report.h"
#include "apps/cli/message.h"
#include "apps/cli/option_checks.h"
#include "apps/cli/output_checks.h"
#include "apps/cli/usage_error.h"
#include "apps/commands/write_dataset.h"
#include "data/dataset.h"
#include "data/error.h"
#include "data/filter.h"
#include "data/parse_number.h"
#include "data/parse_time.h"
#include "data/printable.h"
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
  std::string split = "random";
  std::string holdout = "1";
  std::string time_test = "0.1", time_valid = "0.1";
  std::string candidates = "499";
  std::string candidates_file;
  int threads = 1;
};

Holdout holdout(const std::string& text) {
  const std::optional<Holdout> parsed = parse_holdout(text);
  if (!parsed) {
    throw UsageError(fmt::format(
        "--holdout {} is neither a whole number of at least 1 nor a share above 0 and below 1",
        printable(text)));
  }
  return *parsed;
}

PartStart part_start(std::string_view option, const std::string& text) {
  const std::optional<PartStart> parsed = parse_part_start(text);
  if (!parsed) {
    throw UsageError(
        fmt::format("{} {} is no share, number or date such as 2015-01-31 or 2015-01-31T13:45:10Z",
                    option, printable(text)));
  }
  return *parsed;
}

nlohmann::json read_options_json(const PrepareOptions& options) {
  nlohmann::json json{{"command", "prepare"}, {"format", options.format}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) json[name] = value;
  };
  add("separator", options.separator);
  if (options.header != "auto") json["header"] = options.header;
  if (options.on_bad_line != "stop") json["on-bad-line"] = options.on_bad_line;
  add("user-column", options.read.user_column);
  add("item-column", options.read.item_column);
  add("rating-column", options.read.rating_column);
  add("time-column", options.read.time_column);
  if (options.read.min_rating) json["min-rating"] = *options.read.min_rating;
  return json;
}

/// Options of the split, none for the default one.
nlohmann::json split_options_json(const PrepareOptions& options) {
  if (options.split == "time") {
    return {{"split", options.split},
            {"time-test", options.time_test},
            {"time-valid", options.time_valid}};
  }
  if (options.split == "random" && options.holdout == "1") return nlohmann::json::object();
  return {{"split", options.split}, {"holdout", options.holdout}};
}

/// @param json receives the moments
Dataset split_by_moments(Interactions interactions, const PrepareOptions& options,
                         nlohmann::json& json) {
  const TimeKind kind = interactions.time_kind;
  TimeSplit split =
      split_by_time(std::move(interactions), part_start("--time-valid", options.time_valid),
                    part_start("--time-test", options.time_test));
  const std::string valid = format_time(split.valid_start, kind);
  const std::string test = format_time(split.test_start, kind);
  json["valid-start"] = valid;
  json["test-start"] = test;
  print_out("training before {}, {}test from {} on\n", valid,
            valid == test ? "" : fmt::format("validation from {} on, ", valid), test);
  if (split.dropped_users > 0) {
    print_out(
        "dropped {} users without training interactions, with their {} validation and {} test "
        "interactions\n",
        split.dropped_users, split.dropped_valid, split.dropped_test);
  }
  return std::move(split.dataset);
}

/// @param json receives what options leave open: the moments of a split by time
Dataset split(Interactions interactions, const PrepareOptions& options, nlohmann::json& json) {
  const Holdout held_out = holdout(options.holdout);
  if (options.split == "random") return split_random(interactions, held_out, options.seed);
  const auto [first, last] = std::ranges::minmax(interactions.times);
  print_out("times from {} to {}\n", format_time(first, interactions.time_kind),
            format_time(last, interactions.time_kind));
  Dataset dataset = options.split == "last"
                        ? split_last(interactions, held_out)
                        : split_by_moments(std::move(interactions), options, json);
  dataset.seed = options.seed;
  if (const int64_t count = items_without_training(dataset); count > 0) {
    print_out("{} held-out items are in no training interaction; they stay\n", count);
  }
  return dataset;
}

/// Prints how many held-out items, and users, have no training interaction.
/// @throws Error if that is true of all: then the files don't belong together.
void tell_untrained(const Dataset& dataset, const std::string& test) {
  int64_t users = 0, held_out_users = 0;
  for (int64_t u = 0; u < dataset.num_users(); ++u) {
    if (dataset.valid.row(u).empty() && dataset.test.row(u).empty()) continue;
    ++held_out_users;
    if (dataset.train.row(u).empty()) ++users;
  }
  std::vector<int32_t> held_out = dataset.valid.items;
  held_out.insert(held_out.end(), dataset.test.items.begin(), dataset.test.items.end());
  std::ranges::sort(held_out);
  held_out.erase(std::ranges::unique(held_out).begin(), held_out.end());
  const int64_t items = items_without_training(dataset);
  const auto refuse_all = [&](std::string_view what) {
    throw Error(
        fmt::format("{}: no {} of the held-out interactions is in the training interactions; check "
                    "that the files have the same ids in the same columns",
                    test, what));
  };
  if (held_out_users > 0 && users == held_out_users) refuse_all("user");
  if (!held_out.empty() && items == std::ssize(held_out)) refuse_all("item");
  if (users > 0) {
    print_out("{} of {} users with held-out items have no training interaction; they stay\n", users,
              held_out_users);
  }
  if (items > 0) {
    print_out("{} of {} held-out items are in no training interaction; they stay\n", items,
              held_out.size());
  }
}

/// Prints which held-out parts are empty.
void tell_if_empty(const Dataset& dataset) {
  if (dataset.test.num_interactions() == 0) {
    print_out("nothing is held out for the test: its metrics are unknown\n");
  }
  if (dataset.valid.num_interactions() == 0) {
    print_out("nothing is held out for validation: a training keeps its last epoch\n");
  }
}

/// Draws candidates, if there is memory for them.
void add_candidates(Dataset& dataset, int64_t count, uint64_t seed) {
  require_candidates(dataset.num_users(), dataset.num_items(), statistics(dataset).interactions,
                     count);
  draw_candidates(dataset, count, seed);
}

void prepare_interactions(PrepareOptions options, int64_t num_candidates) {
  Interactions read = read_interactions(options.input, options.read);
  options.format = read.format;
  print_out("{}: format {}: {} interactions of {} users with {} items\n", options.input,
            read.format, read.size(), read.user_ids.size(), read.item_ids.size());
  if (read.duplicates > 0) print_out("dropped {} repeated interactions\n", read.duplicates);
  if (read.below_rating > 0)
    print_out("dropped {} interactions below the rating\n", read.below_rating);
  Interactions kept = filter(std::move(read), options.min_user, options.min_item);
  if (kept.size() == 0) {
    throw Error(fmt::format("{}: no interactions remain; lower --min-user {} or --min-item {}",
                            options.input, options.min_user, options.min_item));
  }

  nlohmann::json json = read_options_json(options);
  Dataset dataset = [&] {
    try {
      return split(std::move(kept), options, json);
    } catch (const Error& error) {
      throw Error(fmt::format("{}: {}", options.input, error.what()));
    }
  }();
  if (dataset.test.num_interactions() == 0) {
    throw Error(fmt::format(
        "{}: nothing is held out for the test of {} users with {} interactions; a user "
        "needs two or more, and a share of them half a one; lower --min-item, raise a share "
        "of --holdout, or check the columns",
        options.input, dataset.num_users(), dataset.train.num_interactions()));
  }
  tell_if_empty(dataset);
  add_candidates(dataset, num_candidates, options.seed);
  json.update({{"input", options.input},
               {"min-user", options.min_user},
               {"min-item", options.min_item},
               {"split-seed", options.seed},
               {"candidates", num_candidates}});
  json.update(split_options_json(options));
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
  tell_if_empty(dataset);
  tell_untrained(dataset, options.test);
  if (num_candidates) add_candidates(dataset, *num_candidates, options.seed);
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

/// Refuses options of another split than the chosen one, and texts that say nothing.
void check_split_options(const CLI::App& command, const PrepareOptions& options) {
  const auto refuse = [&](std::string_view option, std::string_view splits) {
    if (command.count(std::string(option)) == 0) return;
    throw UsageError(fmt::format("{} goes with --split {}", option, splits));
  };
  if (options.split == "time") refuse("--holdout", "random and last");
  if (options.split == "random") refuse("--time-column", "last and time");
  if (options.split != "time") {
    refuse("--time-test", "time");
    refuse("--time-valid", "time");
  }
  holdout(options.holdout);
  part_start("--time-test", options.time_test);
  part_start("--time-valid", options.time_valid);
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
    print_out("{}\n", remark);
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
  } else if (*num_candidates < 0) {
    throw UsageError("--candidates has to be at least 0");
  }
  if (!options.candidates_file.empty()) num_candidates.reset();

  if (!ready) {
    if (options.input.empty()) throw UsageError("name an INPUT, or --train and --test");
    if (!num_candidates)
      throw UsageError(
          "--candidates has to be a whole number; a file of them goes with --train and --test");
    check_split_options(command, options);
    options.read.times = options.split != "random";
    check_outputs({{"INPUT", options.input}}, {{"--output", options.output}});
    prepare_interactions(std::move(options), *num_candidates);
    return;
  }
  if (!options.input.empty()) throw UsageError("give either an INPUT or a ready split, not both");
  if (command.count("--min-user") + command.count("--min-item") > 0) {
    throw UsageError("a ready split is not filtered; leave --min-user and --min-item out");
  }
  for (const char* option :
       {"--split", "--holdout", "--time-test", "--time-valid", "--time-column"}) {
    if (command.count(option) == 0) continue;
    throw UsageError(fmt::format("a ready split is not split again; leave {} out", option));
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

void add_split_options(CLI::App& command, PrepareOptions& options) {
  const auto add = [&](const char* name, auto& value, const char* description) {
    return command.add_option(name, value, description)->group("Split")->capture_default_str();
  };
  add("--split", options.split,
      "Choice of the held-out interactions. random: drawn from each user's; last: each user's "
      "latest; time: those of all users from a moment on")
      ->check(CLI::IsMember({"random", "last", "time"}));
  add("--holdout", options.holdout,
      "random, last: number or share of a user's interactions that are held out for the test, and "
      "as many again for validation");
  add("--time-test", options.time_test,
      "time: moment at which the test begins, as a date such as 2015-01-31T13:45:10Z or a number "
      "as in the file, or the test's share of all interactions");
  add("--time-valid", options.time_valid,
      "time: moment at which validation begins, or its share of all interactions");
  add("--split-seed,--seed", options.seed, "Seed of the split and of the candidates")
      ->check(seed());
  add("--candidates", options.candidates,
      "Number of candidates per user; 0: none, so that only full rankings are evaluated; for a "
      "ready split also a file of them");
}

void add_ready_split_options(CLI::App& command, PrepareOptions& options) {
  const auto add = [&](const char* name, std::string& value, const char* description) {
    return command.add_option(name, value, description)->group("Ready split");
  };
  auto* train = add("--train", options.train, "File of training interactions");
  auto* valid = add("--valid", options.valid, "File of validation interactions [none]");
  auto* test = add("--test", options.test, "File of test interactions");
  train->needs(test);
  valid->needs(train);
  test->needs(train);
  add("--candidates-file", options.candidates_file, "File of candidates (user, item)")
      ->needs(train);
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
  command->add_option("--time-column", options->read.time_column,
                      "Number or name of the time column, for --split last and time [by the "
                      "header's names, else 4]");
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
  add_split_options(*command, *options);
  add_ready_split_options(*command, *options);
  command->add_option("--threads", options->threads, "Ignored: this command uses one thread")
      ->check(count_from(0))
      ->capture_default_str();
  command->footer(
      "Example:\n  derrd prepare users.dat --format citeulike --min-user 5 -o "
      "citeulike.safetensors");
  command->callback([command, options] { run(*command, *options); });
}

}  // namespace derrd
