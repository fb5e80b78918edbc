#include "apps/commands/write_lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <span>

#include "data/error.h"
#include "data/printable.h"
#include "engine/evaluation/top_lists.h"
#include "engine/models/catalogue.h"
#include "kernels/platform/memory.h"

namespace derrd {

namespace {

/// The rows of some users.
InteractionRows rows_of(const InteractionRows& all, std::span<const int32_t> users) {
  InteractionRows rows;
  for (const int32_t u : users) {
    const auto items = all.row(u);
    rows.items.insert(rows.items.end(), items.begin(), items.end());
    rows.offsets.push_back(rows.num_interactions());
  }
  return rows;
}

/// Makes the lists of adjacent users of the selection, from a model that knows them only.
class ListMaker {
 public:
  ListMaker(const InteractionRows& train, const SavedModel& model, int64_t top,
            const Stream& stream)
      : top_(top),
        stream_(stream),
        scorer_(make_scorer(model, stream)),
        offsets_(train.offsets, stream),
        observed_(train.items, stream),
        top_lists_(scorer_->items(), top) {}

  /// @param users the numbers that the users have in the data set, from the first_user-th of the
  /// selection on
  Lists make(std::span<const int32_t> users, int64_t first_user) {
    const auto n = static_cast<int64_t>(users.size());
    const DeviceArray<int32_t> items(n * top_);
    const DeviceArray<float> scores(n * top_);
    top_lists_.best(items.matrix(n, top_), scores.matrix(n, top_), *scorer_,
                    {offsets_.view(), observed_.view()}, first_user, stream_);
    return {{users.begin(), users.end()}, items.to_host(stream_), scores.to_host(stream_), top_};
  }

 private:
  const int64_t top_;
  const Stream& stream_;
  const std::unique_ptr<Scorer> scorer_;
  const DeviceArray<int64_t> offsets_;
  const DeviceArray<int32_t> observed_;
  TopLists top_lists_;
};

}  // namespace

void write_lists(ListWriter& writer, const Dataset& dataset, SavedModel model,
                 const std::vector<int32_t>& users, int64_t top, const std::string& name,
                 const Stream& stream) {
  constexpr size_t kUsersAtOnce = 1024;
  select_users(model, users);
  ListMaker maker(rows_of(dataset.train, users), model, std::min(top, dataset.num_items()), stream);
  for (size_t first = 0; first < users.size(); first += kUsersAtOnce) {
    const auto part = std::span(users).subspan(first, std::min(kUsersAtOnce, users.size() - first));
    Lists lists;
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

std::vector<int32_t> all_users(const Dataset& dataset) {
  std::vector<int32_t> users(static_cast<size_t>(dataset.num_users()));
  std::iota(users.begin(), users.end(), 0);
  return users;
}

}  // namespace derrd
