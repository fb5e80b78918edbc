#include "engine/models/bpr.h"

namespace derrd {

namespace {
constexpr Parameters::Initial kEmbedding = {Parameters::Initial::Kind::kNormal, 0.01f};
}  // namespace

BprModel::BprModel(int64_t users, int64_t items, int64_t dim, int64_t batch_size,
                   Parameters& parameters)
    : parameters_(parameters),
      user_(parameters.declare_table("user_embedding", Entity::kUser, users, dim, kEmbedding)),
      item_(parameters.declare_table("item_embedding", Entity::kItem, items, dim, kEmbedding)),
      loss_terms_(batch_size),
      coefficient_(batch_size),
      scorer_({}, {}) {}

ModelMemory BprModel::memory(const ModelSizes& sizes, const ModelUse& use) {
  ModelMemory memory;
  memory.matrices = {sizes.users * sizes.dim, sizes.items * sizes.dim};
  memory.table_elements = memory.elements();
  memory.table_rows = sizes.users + sizes.items;
  memory.batch = 2 * use.batch_size * static_cast<int64_t>(sizeof(float));
  return memory;
}

BprCall BprModel::call(const EpochPlan& plan) const {
  return {.user_embedding = parameters_.value(user_),
          .item_embedding = parameters_.value(item_),
          .samples = {plan.users(), plan.positives(), plan.negatives(), plan.cursor(),
                      plan.batch_size()},
          .users = plan.distinct_users(),
          .positives = plan.distinct_positives(),
          .negatives = plan.distinct_negatives()};
}

void BprModel::forward(const EpochPlan& plan, LossSum loss, const Stream& stream) {
  bpr_forward(loss_terms_.view(), coefficient_.view(), call(plan), stream);
  loss.add(loss_terms_.view());
}

void BprModel::backward(const EpochPlan& plan, const Stream& stream) {
  bpr_backward(parameters_.gradient(user_), parameters_.gradient(item_), coefficient_.view(),
               call(plan), stream);
}

Representations BprModel::representations() const {
  return {{{parameters_.value(user_), parameters_.gradient(user_)}},
          {{parameters_.value(item_), parameters_.gradient(item_)}}};
}

void BprModel::score_slots(Matrix<float> score, const SlotBatch& batch, Entity anchor,
                           const Stream& stream) {
  const ParameterId anchors = anchor == Entity::kUser ? user_ : item_;
  const ParameterId others = anchor == Entity::kUser ? item_ : user_;
  slot_scores_forward(score,
                      {.anchor_embedding = parameters_.value(anchors),
                       .other_embedding = parameters_.value(others),
                       .batch = batch},
                      stream);
}

void BprModel::add_slot_gradients(Matrix<const float> grad_score, const SlotBatch& batch,
                                  const SlotIndex& index, Entity anchor, const Stream& stream) {
  const ParameterId anchors = anchor == Entity::kUser ? user_ : item_;
  const ParameterId others = anchor == Entity::kUser ? item_ : user_;
  slot_scores_backward(parameters_.gradient(anchors), parameters_.gradient(others), grad_score,
                       {.anchor_embedding = parameters_.value(anchors),
                        .other_embedding = parameters_.value(others),
                        .batch = batch,
                        .index = index},
                       stream);
}

std::vector<NamedMatrix> BprModel::tensors() const {
  return {{"user_embedding", parameters_.value(user_)},
          {"item_embedding", parameters_.value(item_)}};
}

Scorer& BprModel::scorer(const Stream&) {
  scorer_ = InnerProductScorer(parameters_.value(user_), parameters_.value(item_));
  return scorer_;
}

}  // namespace derrd
