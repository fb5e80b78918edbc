#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "apps/cli/output_checks.h"
#include "data/dataset.h"
#include "engine/models/model_source.h"

namespace derrd {

/// Warns on stderr if a file's metadata names another data set.
/// @param by_id whether ids say which users and items the rows are
void warn_of_other_dataset(const std::string& path, const Metadata& metadata,
                           const Dataset& dataset, bool by_id = false);

/// Returns how many items the lists of derrd recommend rank, from their metadata; empty if they
/// rank all items, or other programs made them.
std::string selected_items_of(const Metadata& metadata);

/// Warns on stderr of tensors with a row per user or item that are not used, if there are any.
void warn_of_unused(const std::string& path, const std::vector<std::string>& tensors);

/// Adds the options beside --<files.option> that say which rows are a model's, and whose they are:
/// --<files.option>-user, -item, -user-ids, -item-ids, -coverage.
/// @param files outlives the command
/// @param missing what happens to users and items that the model lacks, for the help
void add_vector_options(CLI::App& command, ModelFiles& files, const std::string& group,
                        const std::string& missing);

/// Returns true if the options name a model.
bool has_model(const ModelFiles& files);

/// Checks the options together. @throws UsageError if they contradict each other, or there is no
/// model.
void check_model_options(const ModelFiles& files);

/// Lists all files of a model.
std::vector<NamedFile> model_inputs(const ModelFiles& files);

/// Returns the bytes of the files with a model's vectors.
int64_t model_bytes(const ModelFiles& files);

/// Reads a model for a data set. Its rows are brought into the data set's order by their ids, if
/// there are any. Prints on stderr how many users and items were matched; warns if the model was
/// trained on another data set, a tensor is not used, or users or items are missing.
/// @param missing what happens to missing users and items, for the warning
/// @throws Error as ModelSource::load does.
AlignedModel load_model(const ModelSource& source, const Dataset& dataset,
                        const std::string& missing);

/// Lists the numbers that have a row.
std::vector<int32_t> known_numbers(const RowAlignment& alignment);

}  // namespace derrd
