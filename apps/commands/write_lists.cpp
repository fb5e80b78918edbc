#include "apps/commands/write_lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "apps/cli/message.h"
#include "apps/training/metrics_json.h"
#include "data/error.h"
#include "data/formats/atomic_file.h"
#include "data/printable.h"
#include "engine/device_rows.h"
#include "engine/evaluation/top_lists.h"
#include "engine/models/catalogue.h"
#include "kernels/platform/memory.h"

namespace derrd {

namespace {

/// Users whose lists are made and written together.
constexpr int64_t kUsersAtOnce = 1024;

std::string id_as_tsv(const IdTable& ids, int32_t number) {
  std::string text = ids.text(number);
  if (text.find_first_of("\t\r\n") != std::string::npos) {
    throw Error(fmt::format("the id {} has a tab or a line's end in it; use --format jsonl",
                            printable(text)));
  }
  return text;
}

Json id_as_json(const IdTable& ids, int32_t number) {
  if (ids.numeric()) return ids.numbers()[static_cast<size_t>(number)];
  return ids.text(number);
}

/// Appends a user's list.
void append_tsv(std::string& text, const Dataset& dataset, int32_t user,
                std::span<const int32_t> items, std::span<const float> scores) {
  const std::string user_id = id_as_tsv(dataset.user_ids, user);
  for (size_t k = 0; k < items.size() && items[k] >= 0; ++k) {
    fmt::format_to(std::back_inserter(text), "{}\t{}\t{}\t{}\n", user_id, k + 1,
                   id_as_tsv(dataset.item_ids, items[k]), scores[k]);
  }
}

void append_jsonl(std::string& text, const Dataset& dataset, int32_t user,
                  std::span<const int32_t> items, std::span<const float> scores) {
  Json list = Json::array();
  for (size_t k = 0; k < items.size() && items[k] >= 0; ++k) {
    Json entry;
    entry["item"] = id_as_json(dataset.item_ids, items[k]);
    entry["score"] = scores[k];
    list.push_back(entry);
  }
  Json json;
  json["user"] = id_as_json(dataset.user_ids, user);
  json["items"] = list;
  text += json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

class TextLists final : public ListWriter {
 public:
  TextLists(bool tsv, const std::string& path, const Dataset& dataset)
      : tsv_(tsv), dataset_(dataset) {
    if (!path.empty()) file_.emplace(path);
    if (tsv) put("user\trank\titem\tscore\n");
  }
  void write(const RecommendedItems& lists) override {
    const auto length = static_cast<size_t>(lists.length);
    std::string text;
    for (size_t u = 0; u < lists.users.size(); ++u) {
      const auto items = std::span(lists.items).subspan(u * length, length);
      const auto scores = std::span(lists.scores).subspan(u * length, length);
      (tsv_ ? append_tsv : append_jsonl)(text, dataset_, lists.users[u], items, scores);
    }
    put(text);
  }
  void finish() override {
    if (file_) file_->commit();
  }

 private:
  void put(const std::string& text) {
    if (file_) {
      file_->write(text);
    } else {
      print_text(text);
      finish_output();  // there may be many more
    }
  }

  const bool tsv_;
  const Dataset& dataset_;
  std::optional<AtomicFile> file_;
};

class SafetensorsLists final : public ListWriter {
 public:
  SafetensorsLists(const std::string& path, size_t users, int64_t length, Metadata metadata)
      : path_(path), metadata_(std::move(metadata)) {
    all_.length = length;
    all_.users.reserve(users);
    all_.items.reserve(users * static_cast<size_t>(length));
    all_.scores.reserve(users * static_cast<size_t>(length));
  }
  void write(const RecommendedItems& lists) override {
    all_.users.insert(all_.users.end(), lists.users.begin(), lists.users.end());
    all_.items.insert(all_.items.end(), lists.items.begin(), lists.items.end());
    all_.scores.insert(all_.scores.end(), lists.scores.begin(), lists.scores.end());
  }
  void finish() override {
    const auto users = static_cast<int64_t>(all_.users.size());
    write_safetensors(
        path_,
        {{"users", tensor_view(all_.users)},
         {"items", tensor_view(std::span<const int32_t>(all_.items), {users, all_.length})},
         {"scores", tensor_view(std::span<const float>(all_.scores), {users, all_.length})}},
        metadata_);
  }

 private:
  const std::string path_;
  const Metadata metadata_;
  RecommendedItems all_;
};

/// The items to leave out for each of the users, as positions in the ranked items.
InteractionRows left_out(const InteractionRows& train, const ListRequest& request,
                         int64_t all_items) {
  std::vector<int32_t> position(static_cast<size_t>(all_items), -1);
  for (size_t k = 0; k < request.items.size(); ++k) {
    position[static_cast<size_t>(request.items[k])] = static_cast<int32_t>(k);
  }
  InteractionRows rows;
  for (const int32_t u : request.users) {
    if (!request.include_seen) {
      for (const int32_t i : train.row(u)) {
        if (position[i] >= 0) rows.items.push_back(position[i]);
      }
    }
    rows.offsets.push_back(rows.num_interactions());
  }
  return rows;
}

/// Makes lists with a model of the selected users and items alone.
class ListMaker {
 public:
  /// @param observed positions of items to leave out, for each selected user
  /// @param items numbers of the selected items in the data set
  ListMaker(const InteractionRows& observed, const SavedModel& model,
            const std::vector<int32_t>& items, int64_t top, const Stream& stream)
      : top_(top),
        stream_(stream),
        numbers_(items),
        scorer_(make_scorer(model, stream)),
        observed_(observed, stream),
        top_lists_(scorer_->items(), top) {}

  /// Makes the lists of neighbours in the selection.
  /// @param users their numbers in the data set
  /// @param first_user position of the first one in the selection
  RecommendedItems make(std::span<const int32_t> users, int64_t first_user) {
    const auto n = static_cast<int64_t>(users.size());
    const DeviceArray<int32_t> items(n * top_);
    const DeviceArray<float> scores(n * top_);
    top_lists_.best(items.matrix(n, top_), scores.matrix(n, top_), *scorer_, observed_.view(),
                    first_user, stream_);
    RecommendedItems lists = {
        {users.begin(), users.end()}, items.to_host(stream_), scores.to_host(stream_), top_};
    for (int32_t& item : lists.items) {
      if (item >= 0) item = numbers_[static_cast<size_t>(item)];
    }
    return lists;
  }

 private:
  const int64_t top_;
  const Stream& stream_;
  const std::vector<int32_t>& numbers_;
  const std::unique_ptr<Scorer> scorer_;
  const DeviceRows observed_;
  TopLists top_lists_;
};

}  // namespace

std::unique_ptr<ListWriter> text_lists(const std::string& format, const std::string& path,
                                       const Dataset& dataset) {
  return std::make_unique<TextLists>(format == "tsv", path, dataset);
}

std::unique_ptr<ListWriter> safetensors_lists(const std::string& path, size_t users, int64_t length,
                                              Metadata metadata) {
  return std::make_unique<SafetensorsLists>(path, users, length, std::move(metadata));
}

MemoryNeed lists_memory(const ListSizes& sizes) {
  constexpr int64_t kNumber = sizeof(float);
  MemoryNeed need;
  need.keep("the program", program_memory());
  need.keep("the data set", {0, sizes.data.host_bytes});
  need.pass("its file", {0, sizes.data_file});
  constexpr int64_t kUser = 24;
  need.keep("users by number and id", {0, sizes.data.users * kUser});
  const ModelMemory all = model_memory(sizes.model, {});
  const int64_t read = all.elements() * kNumber;
  need.keep("the model, as read", {0, read});
  need.pass("its files", {0, sizes.model_files});
  ModelSizes selected = sizes.model;
  selected.users = sizes.users;
  selected.items = sizes.items;
  const ModelMemory model = model_memory(selected, {});
  const int64_t kept = model.elements() * kNumber;
  const int64_t largest = *std::ranges::max_element(model.matrices) * kNumber;
  need.pass("selecting users and items", {0, largest});
  if (kept != read) need.keep("the model, selected", {0, kept - read});
  const int64_t observed = DeviceRows::device_bytes(sizes.users, sizes.data.train);
  need.keep("the model on the device", {kept + model.scorer, 0});
  need.keep("items to leave out", {observed, 0});
  need.pass("finding them", {0, observed + sizes.data.items * kNumber});
  need.keep("the model as read, freed", {0, -kept});
  const int64_t part = std::min(kUsersAtOnce, sizes.users) * sizes.top * 2 * kNumber;
  need.keep("scores of some users",
            {model.tiles + TopLists::device_bytes(sizes.items, sizes.top), 0});
  if (sizes.collects) {
    need.keep("all lists", {0, sizes.users * (2 * sizes.top + 1) * kNumber});
    // The last of them come from the device when the others are there, and then join them.
    need.pass("lists of some users", {part, 0});
    need.pass("their copy", {0, part});
    return need;
  }
  constexpr int64_t kLine = 64;  // of text: some 20 bytes of ids, a rank and a score
  need.pass("lists of some users", {part, part + part / (2 * kNumber) * kLine});
  return need;
}

void write_lists(ListWriter& writer, const Dataset& dataset, SavedModel model,
                 const ListRequest& request, const std::string& name, const Stream& stream) {
  const std::vector<int32_t>& users = request.users;
  select_users(model, users);
  select_items(model, request.items);
  ListMaker maker(left_out(dataset.train, request, dataset.num_items()), model, request.items,
                  request.length(), stream);
  model = SavedModel();  // the device has it
  constexpr size_t kStep = kUsersAtOnce;
  for (size_t first = 0; first < users.size(); first += kStep) {
    const auto part = std::span(users).subspan(first, std::min(kStep, users.size() - first));
    RecommendedItems lists;
    try {
      lists = maker.make(part, static_cast<int64_t>(first));
    } catch (const Error& e) {
      throw Error(fmt::format("{}: in the tile of users from {} on: {}", name,
                              printable(dataset.user_ids.text(part.front())), e.what()));
    }
    writer.write(lists);
  }
  writer.finish();
}

}  // namespace derrd
