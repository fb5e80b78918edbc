#include "engine/rows_read.h"

#include <algorithm>

namespace derrd {

namespace {

bool same_list(const RowsRead& a, const RowsRead& b) {
  return a.of == b.of && a.rows.rows.data == b.rows.rows.data && a.rows.batch == b.rows.batch &&
         a.samples.data == b.samples.data;
}

}  // namespace

std::vector<RowsRead> batch_rows(const EpochPlan& plan) {
  return {{Entity::kUser, plan.distinct_users()},
          {Entity::kItem, plan.distinct_positives()},
          {Entity::kItem, plan.distinct_negatives()}};
}

std::vector<RowsRead> slot_batch_rows(const SlotBatch& batch, Entity anchor) {
  const Entity other = anchor == Entity::kUser ? Entity::kItem : Entity::kUser;
  return {{anchor, batch.anchors}, {other, batch.anchors, batch.samples}};
}

void add_rows_read(std::vector<RowsRead>& all, const std::vector<RowsRead>& more) {
  for (const RowsRead& list : more) {
    const auto same = [&](const RowsRead& other) { return same_list(list, other); };
    if (std::none_of(all.begin(), all.end(), same)) all.push_back(list);
  }
}

}  // namespace derrd
