#include "engine/distill/catalogue.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "data/error.h"
#include "engine/distill/cd.h"
#include "engine/distill/de/de_factory.h"
#include "engine/distill/ir.h"
#include "engine/distill/rd.h"
#include "engine/distill/rrd.h"

namespace derrd {

std::vector<std::unique_ptr<LossFactory>> loss_factories() {
  std::vector<std::unique_ptr<LossFactory>> losses;
  const auto sampling = std::make_shared<UserSampling>();
  losses.push_back(std::make_unique<DeFactory>());
  losses.push_back(std::make_unique<RrdFactory>(sampling));
  losses.push_back(std::make_unique<IrFactory>(sampling));
  losses.push_back(std::make_unique<RdFactory>());
  losses.push_back(std::make_unique<CdFactory>());
  return losses;
}

std::vector<const LossFactory*> factories_of(
    std::string_view method, const std::vector<std::unique_ptr<LossFactory>>& losses) {
  if (method == "none") return {};
  std::string sum(method);
  for (const auto& [title, losses_of_title] :
       {std::pair{"de-rrd", "de+rrd"}, {"ir-rrd", "rrd+ir"}}) {
    if (const size_t at = sum.find(title); at != std::string::npos) {
      sum.replace(at, std::string_view(title).size(), losses_of_title);
    }
  }
  std::set<std::string, std::less<>> asked;
  for (size_t begin = 0; begin <= sum.size();) {
    const size_t end = std::min(sum.find('+', begin), sum.size());
    const std::string name = sum.substr(begin, end - begin);
    if (name.empty()) {
      throw Error(
          fmt::format("the method '{}' lacks the name of a loss beside a +; give it", method));
    }
    if (!asked.insert(name).second) {
      throw Error(fmt::format("the method {} has the loss {} twice; leave one out", method, name));
    }
    begin = end + 1;
  }
  std::vector<const LossFactory*> chosen;
  std::vector<std::string_view> names;
  for (const auto& loss : losses) {
    names.push_back(loss->name());
    if (asked.erase(std::string(loss->name())) > 0) chosen.push_back(loss.get());
  }
  if (!asked.empty()) {
    throw Error(fmt::format(
        "there is no distillation loss '{}'; a method is none, or a sum of {}, such as de+rrd, "
        "which de-rrd means too (and ir-rrd rrd+ir)",
        *asked.begin(), fmt::join(names, ", ")));
  }
  for (const auto& loss : losses) {
    if (std::ranges::find(chosen, loss.get()) != chosen.end()) loss->join(chosen);
  }
  return chosen;
}

}  // namespace derrd
