#include "apps/commands/list_writer.h"

#include <fmt/format.h>

#include <cstdio>
#include <optional>
#include <utility>

#include "apps/training/metrics_json.h"
#include "data/error.h"
#include "data/formats/atomic_file.h"
#include "data/printable.h"

namespace derrd {

namespace {

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
  void write(const Lists& lists) override {
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
    } else if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) {
      throw Error("standard output can't be written; is the disk full?");
    }
  }

  const bool tsv_;
  const Dataset& dataset_;
  std::optional<AtomicFile> file_;
};

class SafetensorsLists final : public ListWriter {
 public:
  SafetensorsLists(const std::string& path, int64_t length, Metadata metadata)
      : path_(path), metadata_(std::move(metadata)) {
    all_.length = length;
  }
  void write(const Lists& lists) override {
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
  Lists all_;
};

}  // namespace

std::unique_ptr<ListWriter> text_lists(const std::string& format, const std::string& path,
                                       const Dataset& dataset) {
  return std::make_unique<TextLists>(format == "tsv", path, dataset);
}

std::unique_ptr<ListWriter> safetensors_lists(const std::string& path, int64_t length,
                                              Metadata metadata) {
  return std::make_unique<SafetensorsLists>(path, length, std::move(metadata));
}

}  // namespace derrd
