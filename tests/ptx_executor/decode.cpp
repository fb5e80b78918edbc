// Statements become instructions: registers get their positions, labels their numbers, calls are
// inlined.

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <set>

#include "tests/ptx_executor/machine.h"

namespace derrd::ptx {

namespace {

constexpr uint32_t kNarrow = 4 * kLanes;
constexpr uint32_t kWide = 8 * kLanes;
constexpr int kMaxDepth = 16;

uint32_t cell_bytes(Type type) { return size_of(type) == 8 ? kWide : kNarrow; }
Type bits_of(int size) {
  return size == 1 ? Type::u8 : size == 2 ? Type::u16 : size == 4 ? Type::u32 : Type::u64;
}
int64_t round_up(int64_t value, int64_t align) { return (value + align - 1) / align * align; }
template <class T>
uint8_t byte(T value) {
  return static_cast<uint8_t>(value);
}

/// d = the elements of the list, of i.size bytes each, the first one lowest.
template <class T>
void pack(Warp& w, const Instruction& i, Mask m) {
  T r[kLanes] = {};
  for (int k = 0; k < i.count; ++k) {
    const auto* from = w.cells<uint32_t>(i.list[k]);
    const auto kept = static_cast<uint32_t>((uint64_t{1} << (8 * i.size)) - 1);
    for (int l = 0; l < kLanes; ++l) r[l] |= static_cast<T>(from[l] & kept) << (8 * k * i.size);
  }
  auto* d = w.cells<T>(i.d);
  for (int l = 0; l < kLanes; ++l) d[l] = (m >> l) & 1 ? r[l] : d[l];
}
template <class T>
void unpack(Warp& w, const Instruction& i, Mask m) {
  T x[kLanes];
  std::memcpy(x, w.cells<T>(i.a), sizeof x);
  for (int k = 0; k < i.count; ++k) {
    auto* to = w.cells<uint32_t>(i.list[k]);
    const auto kept = static_cast<uint32_t>((uint64_t{1} << (8 * i.size)) - 1);
    for (int l = 0; l < kLanes; ++l) {
      const uint32_t element = static_cast<uint32_t>(x[l] >> (8 * k * i.size)) & kept;
      to[l] = (m >> l) & 1 ? element : to[l];
    }
  }
}
void add_wide(Warp& w, const Instruction& i, Mask m) {
  const auto* a = w.cells<uint64_t>(i.a);
  auto* d = w.cells<uint64_t>(i.d);
  const auto value = static_cast<uint64_t>(i.value);
  if (m == kAllLanes) {
    for (int l = 0; l < kLanes; ++l) d[l] = a[l] + value;
  } else {
    for (int l = 0; l < kLanes; ++l) d[l] = (m >> l) & 1 ? a[l] + value : d[l];
  }
}
void is_in_space(Warp& w, const Instruction& i, Mask m) {
  const auto* a = w.cells<uint64_t>(i.a);
  Mask r = 0;
  for (int l = 0; l < kLanes; ++l) {
    const uint64_t x = a[l];
    const Space space = x - kSharedWindow < kWindow  ? Space::shared
                        : x - kLocalWindow < kWindow ? Space::local
                        : x - kParamWindow < kWindow ? Space::param
                                                     : Space::global;
    r |= Mask{space == static_cast<Space>(i.value)} << l;
  }
  Mask& p = w.predicate(i.d);
  p = (p & ~m) | (r & m);
}
void unknown_call(Warp& w, const Instruction& i, Mask m) {
  w.fault(i, std::countr_zero(m), kLaunchFailure, "a call of a function that the executor lacks");
}

constexpr std::pair<std::string_view, Special> kSpecials[] = {
    {"%tid.x", Special::tid_x},
    {"%tid.y", Special::tid_y},
    {"%tid.z", Special::tid_z},
    {"%ntid.x", Special::ntid_x},
    {"%ntid.y", Special::ntid_y},
    {"%ntid.z", Special::ntid_z},
    {"%ctaid.x", Special::ctaid_x},
    {"%ctaid.y", Special::ctaid_y},
    {"%ctaid.z", Special::ctaid_z},
    {"%nctaid.x", Special::nctaid_x},
    {"%nctaid.y", Special::nctaid_y},
    {"%nctaid.z", Special::nctaid_z},
    {"%laneid", Special::laneid},
    {"%warpid", Special::warpid},
    {"%smid", Special::smid},
    {"%nsmid", Special::nsmid},
    {"%lanemask_eq", Special::lanemask_eq},
    {"%lanemask_le", Special::lanemask_le},
    {"%lanemask_lt", Special::lanemask_lt},
    {"%lanemask_ge", Special::lanemask_ge},
    {"%lanemask_gt", Special::lanemask_gt},
    {"%dynamic_smem_size", Special::dynamic_smem_size},
    {"%total_smem_size", Special::total_smem_size},
};

class Decoder {
 public:
  Decoder(Module& module, const Function& function,
          const std::map<std::string, uint64_t>& variables)
      : module_(module),
        function_(function),
        variables_(variables),
        kernel_(std::make_unique<Kernel>()) {}

  std::unique_ptr<Kernel> decode() {
    kernel_->name = function_.name;
    kernel_->module = &module_;
    kernel_->function = &function_;
    reserve(kWide);  // what absent operands point at
    lay_out_shared(function_, 0);
    kernel_->static_shared = round_up(kernel_->static_shared, dynamic_align_);
    Scope scope;
    scope.function = &function_;
    scope.body = &module_.body(function_);
    inline_body(scope, 0);
    emit({.run = control::exit});
    for (const auto& [from, to] : branches_) kernel_->code[from].target = labels_[to];
    kernel_->local_bytes = round_up(kernel_->local_bytes, 16);
    lay_out_constants();
    return std::move(kernel_);
  }

 private:
  /// A function's body at one call of it.
  struct Scope {
    const Function* function = nullptr;
    const Body* body = nullptr;
    std::unordered_map<std::string, uint32_t> registers;
    std::unordered_map<std::string_view, int> writes;  ///< statements that write a register
    std::unordered_map<std::string, int64_t> locals;   ///< offsets in a thread's local memory
    size_t first_label = 0;                            ///< in labels_: one per statement
    size_t end_label() const { return first_label + body->statements.size(); }
  };

  [[noreturn]] void fail(const std::string& what) const {
    const int line = statement_ == nullptr ? 0 : statement_->line;
    throw PtxError(fmt::format("{}: PTX line {}: {}: {}", kernel_->name, line, what,
                               line == 0 ? "" : module_.line_text(line)));
  }

  // ---------------------------------------------------------------- registers

  uint32_t reserve(uint32_t bytes) {
    const uint32_t at = kernel_->register_bytes;
    kernel_->register_bytes += bytes;
    return at;
  }
  uint32_t reserve(Type type) {
    if (type != Type::pred) return reserve(cell_bytes(type));
    if (predicates_left_ == 0) {
      predicates_ = reserve(64);
      predicates_left_ = 16;
    }
    return predicates_ + 4 * static_cast<uint32_t>(16 - predicates_left_--);
  }
  uint32_t constant(uint64_t bits, Type type) {
    const int size = type == Type::pred ? 0 : size_of(type) == 8 ? 8 : 4;
    if (size == 0)
      bits = bits != 0 ? ~uint64_t{0} : 0;
    else if (size_of(type) < 8)
      bits &= (uint64_t{1} << (8 * size_of(type))) - 1;
    const auto [found, fresh] = constants_.try_emplace({size, bits}, 0);
    if (fresh) {
      found->second = -(constant_bytes_ += size == 8 ? kWide : kNarrow);
      constant_bits_[found->second] = bits;
    }
    return found->second;
  }
  void lay_out_constants() {
    kernel_->constants.resize(constant_bytes_);
    std::byte* end = kernel_->constants.data() + constant_bytes_;
    for (const auto& [key, offset] : constants_) {
      const auto size = key.first == 8 ? size_t{8} : size_t{4};
      for (size_t l = 0; l < kLanes; ++l)
        std::memcpy(end + static_cast<int32_t>(offset) + l * size, &key.second, size);
    }
  }

  Type register_type(const std::string& name) const {
    const auto found = scope_->body->registers.find(name);
    return found == scope_->body->registers.end() ? Type::none : found->second;
  }

  uint32_t place(const std::string& name) {
    const auto found = scope_->registers.find(name);
    if (found != scope_->registers.end()) return found->second;
    const Type type = register_type(name);
    if (type == Type::none) fail("unknown register " + name);
    return scope_->registers[name] = reserve(type);
  }

  uint32_t special(std::string_view name) {
    const auto found = std::find_if(std::begin(kSpecials), std::end(kSpecials),
                                    [&](const auto& known) { return known.first == name; });
    if (found == std::end(kSpecials)) fail("unknown register " + std::string(name));
    for (const auto& [known, offset] : kernel_->specials) {
      if (known == found->second) return offset;
    }
    const uint32_t offset = reserve(Type::u32);
    kernel_->specials.emplace_back(found->second, offset);
    return offset;
  }

  // ---------------------------------------------------------------- shared memory

  void place_shared(const Variable& v) {
    if (shared_.contains(&v)) return;
    if (v.external || v.size == 0) {
      dynamic_align_ = std::max<int64_t>({16, v.align, dynamic_align_});
      return;
    }
    shared_[&v] = round_up(kernel_->static_shared, v.align);
    kernel_->static_shared = shared_[&v] + v.size;
  }
  void place_shared_of(const Operand& o) {
    for (const Operand& e : o.elements) place_shared_of(e);
    if (o.kind != Operand::Kind::symbol && o.kind != Operand::Kind::address) return;
    const Variable* v = module_.variable(o.name);
    if (v != nullptr && v->space == Space::shared) place_shared(*v);
  }
  void lay_out_shared(const Function& function, int depth) {
    if (depth > kMaxDepth || !lain_out_.insert(function.name).second) return;
    const Body& body = module_.body(function);
    for (const Variable& v : body.variables) {
      if (v.space == Space::shared) place_shared(v);
    }
    for (const Statement& s : body.statements) {
      for (const Operand& o : s.operands) place_shared_of(o);
      if (s.parts[0] == "call") {
        const Function* callee = module_.function(s.operands[0].name);
        if (callee != nullptr && callee->defined) lay_out_shared(*callee, depth + 1);
      }
    }
  }

  // ---------------------------------------------------------------- emitting

  void emit(Instruction made) {
    made.guard = guard_;
    made.guard_negated = made.guard_negated != guard_negated_;
    kernel_->code.push_back(made);
    kernel_->origins.push_back(
        statement_ == nullptr ? Origin{} : Origin{statement_->line, statement_->location});
  }
  void emit_branch(size_t label) {
    branches_.emplace_back(kernel_->code.size(), label);
    emit({.run = control::bra});
  }
  const uint32_t* keep(std::vector<uint32_t> list) {
    kernel_->lists.push_back(std::make_unique<std::vector<uint32_t>>(std::move(list)));
    return kernel_->lists.back()->data();
  }

  struct Symbol {
    Space space = Space::global;
    int64_t offset = 0;
  };
  Symbol symbol(const std::string& name) const {
    if (const auto local = scope_->locals.find(name); local != scope_->locals.end())
      return {Space::local, local->second};
    if (scope_->function->entry) {
      for (const Parameter& p : scope_->function->parameters) {
        if (p.name == name) return {Space::param, p.offset};
      }
    }
    for (const Variable& v : scope_->body->variables) {
      if (v.name != name) continue;
      if (const auto shared = shared_.find(&v); shared != shared_.end())
        return {Space::shared, shared->second};
    }
    const Variable* v = module_.variable(name);
    if (v != nullptr && v->space == Space::shared) {
      const auto shared = shared_.find(v);
      return {Space::shared, shared != shared_.end() ? shared->second : kernel_->static_shared};
    }
    const auto variable = variables_.find(name);
    if (variable == variables_.end()) fail("unknown symbol " + name);
    return {v != nullptr && v->space == Space::constant ? Space::constant : Space::global,
            static_cast<int64_t>(variable->second)};
  }

  /// The offset of the operand as a value of that type.
  uint32_t source(const Operand& o, Type type) {
    if (o.kind == Operand::Kind::number) {
      auto bits = static_cast<uint64_t>(o.value);
      if (o.is_double && type == Type::f32)
        bits = std::bit_cast<uint32_t>(static_cast<float>(std::bit_cast<double>(o.value)));
      if (o.single && size_of(type) == 8)
        bits = std::bit_cast<uint64_t>(
            static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(o.value))));
      return constant(bits, type);
    }
    const Type declared = register_type(o.name);
    if (o.kind == Operand::Kind::symbol && declared == Type::none) {
      if (o.name == "WARP_SZ") return constant(kLanes, type);
      return constant(static_cast<uint64_t>(symbol(o.name).offset + o.value), type);
    }
    if (o.kind != Operand::Kind::symbol && o.kind != Operand::Kind::reg)
      fail("an operand that the executor does not take here");
    if (declared == Type::none) return resized(special(o.name), Type::u32, type);
    if (type == Type::pred || declared == Type::pred) return place(o.name);
    return resized(place(o.name), declared, type);
  }
  uint32_t resized(uint32_t at, Type from, Type to) {
    if (cell_bytes(from) == cell_bytes(to)) return at;
    const Type bits = bits_of(size_of(to));
    const uint32_t d = reserve(bits);
    emit({.run = conversion(bits, bits_of(size_of(from))), .d = d, .a = at});
    return d;
  }

  /// The position of a result; finish() converts it to the register's type.
  struct Destination {
    uint32_t at = 0;
    uint32_t final_at = 0;
    Type from = Type::none;
    Type to = Type::none;
  };
  Destination destination(const Operand& o, Type type) {
    if (o.name == "_") return {reserve(type)};
    const Type declared = register_type(o.name);
    const uint32_t at = place(o.name);
    if (type == Type::pred || declared == Type::pred || cell_bytes(declared) == cell_bytes(type))
      return {at};
    return {reserve(bits_of(size_of(type))), at, type, declared};
  }
  void finish(const Destination& d) {
    if (d.from == Type::none) return;
    const Type from = is_signed(d.from) ? d.from : bits_of(size_of(d.from));
    emit({.run = conversion(bits_of(size_of(d.to)), from), .d = d.final_at, .a = d.at});
  }

  struct Place {
    Space space = Space::generic;
    uint32_t base = 0;
    bool wide = true;
    int64_t displacement = 0;
    bool uniform = false;  ///< the address is the displacement alone
  };
  static bool is_wide(Space space) {
    return space == Space::global || space == Space::constant || space == Space::generic;
  }
  Place address(const Operand& o, Space space) {
    Place made{space, 0, true, o.value, false};
    if (space == Space::param && !scope_->function->entry) made.space = Space::local;
    if (scope_->body->registers.contains(o.name)) {
      made.base = place(o.name);
      made.wide = cell_bytes(register_type(o.name)) == kWide;
      if (const auto known = constant_bits_.find(made.base);
          known != constant_bits_.end() && made.space == Space::param) {
        made.displacement += static_cast<int64_t>(known->second);
        made.base = constant(0, Type::u64);
        made.wide = made.uniform = true;
      } else if (!made.wide && is_wide(made.space)) {
        made.base = resized(made.base, Type::u32, Type::u64);
        made.wide = true;
      }
      return made;
    }
    if (!o.name.empty()) {
      const Symbol s = symbol(o.name);
      made.displacement += s.offset;
      if (space != Space::generic)
        made.space = s.space;
      else
        made.displacement += static_cast<int64_t>(window(s.space));
    }
    made.wide = is_wide(made.space);
    made.base = constant(0, made.wide ? Type::u64 : Type::u32);
    made.uniform = true;
    return made;
  }
  static uint64_t window(Space space) {
    return space == Space::shared  ? kSharedWindow
           : space == Space::local ? kLocalWindow
           : space == Space::param ? kParamWindow
                                   : 0;
  }

  static Space space_of(const Statement& s) {
    for (size_t p = 1; p < s.parts.size(); ++p) {
      const std::string_view part = s.parts[p];
      if (part == "global") return Space::global;
      if (part == "const") return Space::constant;
      if (part == "shared" || part.starts_with("shared::")) return Space::shared;
      if (part == "local") return Space::local;
      if (part == "param" || part.starts_with("param::")) return Space::param;
    }
    return Space::generic;
  }

  // ---------------------------------------------------------------- statements

  void load_or_store(const Statement& s, bool is_load) {
    const Type type = type_of(s.parts.back());
    const int size = size_of(type);
    if (size == 0) fail("unknown type");
    const Place at = address(s.operands[is_load ? 1 : 0], space_of(s));
    const Operand& data = s.operands[is_load ? 0 : 1];
    const std::vector<Operand> elements =
        data.kind == Operand::Kind::vector ? data.elements : std::vector<Operand>{data};
    // Registers may be wider than what is moved; all of a vector are alike.
    const bool wide =
        size == 8 || std::any_of(elements.begin(), elements.end(), [&](const auto& e) {
          return e.kind == Operand::Kind::reg && cell_bytes(register_type(e.name)) == kWide;
        });
    const Type cell = wide ? Type::u64 : Type::u32;
    std::vector<uint32_t> places;
    std::vector<Destination> destinations;
    for (const Operand& e : elements) {
      if (is_load) {
        destinations.push_back(destination(e, cell));
        places.push_back(destinations.back().at);
      } else {  // a number may be written as a float
        const bool as_typed = e.kind == Operand::Kind::number && size == (wide ? 8 : 4);
        places.push_back(source(e, as_typed ? type : cell));
      }
    }
    const auto count = static_cast<int>(elements.size());
    const Handler run = is_load ? load(at.space, size, count, is_signed(type), wide ? 8 : 4)
                                : store(at.space, size, count, wide ? 8 : 4);
    if (run == nullptr) fail("a width that the executor lacks");
    const bool strong = s.has("volatile") || s.has("relaxed") || s.has("acquire") ||
                        s.has("release") || s.has("mmio");
    emit({.run = run,
          .d = is_load ? places[0] : 0,
          .a = at.base,
          .b = is_load ? 0 : places[0],
          .flags = byte((at.wide ? kWideAddress : 0) | (strong ? kStrong : 0) |
                        (at.uniform ? kUniform : 0)),
          .value = at.displacement,
          .list = keep(places)});
    for (const Destination& d : destinations) finish(d);
  }

  void atomic_op(const Statement& s, bool returns) {
    const Type type = type_of(s.parts.back());
    size_t next = returns ? 1 : 0;
    const Place at = address(s.operands[next++], space_of(s));
    const uint32_t b = source(s.operands[next++], type);
    const uint32_t c = s.has("cas") ? source(s.operands.at(next), type) : 0;
    const Destination d = returns ? destination(s.operands[0], type) : Destination{};
    const Handler run = atomic(at.space, s, type, returns);
    if (run == nullptr) fail("an atomic that the executor lacks");
    emit({.run = run,
          .d = d.at,
          .a = at.base,
          .b = b,
          .c = c,
          .flags = at.wide ? kWideAddress : byte(0),
          .value = at.displacement});
    finish(d);
  }

  void pack_or_unpack(const Statement& s) {
    const Type type = type_of(s.parts.back());
    const bool packs = s.operands[1].kind == Operand::Kind::vector;
    const auto& elements = s.operands[packs ? 1 : 0].elements;
    const auto count = static_cast<int>(elements.size());
    const int size = size_of(type) / count;
    if (size_of(type) > 8 || size > 4) fail("a vector that the executor lacks");
    std::vector<uint32_t> places;
    std::vector<Destination> destinations;
    for (const Operand& e : elements) {
      if (packs) {
        places.push_back(source(e, bits_of(size)));
      } else {
        destinations.push_back(destination(e, bits_of(size)));
        places.push_back(destinations.back().at);
      }
    }
    const bool wide = size_of(type) == 8;
    const Destination d = packs ? destination(s.operands[0], type) : Destination{};
    const uint32_t a = packs ? 0 : source(s.operands[1], type);
    emit({.run = packs ? (wide ? pack<uint64_t> : pack<uint32_t>)
                       : (wide ? unpack<uint64_t> : unpack<uint32_t>),
          .d = d.at,
          .a = a,
          .size = byte(size),
          .count = byte(count),
          .list = keep(std::move(places))});
    finish(d);
    for (const Destination& e : destinations) finish(e);
  }

  /// A move that is the only statement to write a register, and writes a known value.
  bool is_constant_move(const Statement& s) const {
    if (s.parts[0] != "mov" || !s.guard.empty() || s.operands.size() != 2) return false;
    const auto& [to, from] = std::tie(s.operands[0], s.operands[1]);
    const int size = size_of(type_of(s.parts.back()));
    const bool known =
        from.kind == Operand::Kind::number ||
        (from.kind == Operand::Kind::symbol && !scope_->body->registers.contains(from.name));
    return known && size >= 4 && size == size_of(register_type(to.name)) &&
           scope_->writes.at(to.name) == 1;
  }

  void arithmetic_op(const Statement& s) {
    const Arithmetic op = arithmetic(s);
    if (op.run == nullptr) fail("an instruction that the executor lacks");
    const size_t first = op.second_result ? 2 : 1;
    std::array<uint32_t, 4> sources{};
    for (size_t n = 0; n < static_cast<size_t>(op.source_count); ++n) {
      if (first + n >= s.operands.size()) fail("too few operands");
      sources[n] = source(s.operands[first + n], op.sources[n]);
    }
    const Destination d = destination(s.operands[0], op.result);
    emit({.run = op.run,
          .d = d.at,
          .a = sources[0],
          .b = sources[1],
          .c = sources[2],
          .e = op.second_result ? destination(s.operands[1], Type::pred).at : sources[3],
          .flags = op.flags});
    finish(d);
  }

  size_t label(const std::string& name) const {
    const auto found = scope_->body->labels.find(name);
    if (found == scope_->body->labels.end()) fail("unknown label " + name);
    return scope_->first_label + static_cast<size_t>(found->second);
  }

  void barrier(const Statement& s) {
    if (s.has("warp")) {
      const uint32_t a = source(s.operands[0], Type::u32);
      return emit({.run = control::warp_barrier, .a = a});
    }
    if (s.has("cluster")) fail("barriers of clusters");
    const bool reduces = s.has("red");
    size_t next = reduces ? 1 : 0;
    const uint32_t a =
        next < s.operands.size() ? source(s.operands[next++], Type::u32) : constant(0, Type::u32);
    const bool counted = next + (reduces ? 1 : 0) < s.operands.size();
    const uint32_t b = counted ? source(s.operands[next++], Type::u32) : 0;
    const bool aligned = s.parts[0] == "bar" || s.has("aligned");
    int flags = (aligned ? 1 : 0) | (counted ? 2 : 0) | (s.has("arrive") ? 4 : 0);
    if (!reduces) return emit({.run = control::barrier, .a = a, .b = b, .flags = byte(flags)});
    flags |= 8 | (s.operands[next].negated ? 16 : 0);
    const int64_t kind = s.has("popc") ? 1 : s.has("and") ? 2 : 3;
    const uint32_t c = source(s.operands[next], Type::pred);
    const uint32_t d = destination(s.operands[0], kind == 1 ? Type::u32 : Type::pred).at;
    emit({.run = control::barrier,
          .d = d,
          .a = a,
          .b = b,
          .c = c,
          .flags = byte(flags),
          .value = kind});
  }

  void shuffle(const Statement& s) {
    const bool with_predicate = s.operands.size() == 6;
    const size_t p = with_predicate ? 2 : 1;
    const uint32_t a = source(s.operands[p], Type::b32);
    const uint32_t b = source(s.operands[p + 1], Type::u32);
    const uint32_t c = source(s.operands[p + 2], Type::u32);
    const uint32_t member = source(s.operands[p + 3], Type::u32);
    const Destination d = destination(s.operands[0], Type::b32);
    const int kind = s.has("up") ? 0 : s.has("down") ? 1 : s.has("bfly") ? 2 : 3;
    int flags = with_predicate ? 1 : 0;
    std::vector<uint32_t> list(1 + kLanes + 1, member);
    if (constant_bits_.contains(b) && constant_bits_.contains(c)) {  // the sources are known
      uint32_t step[kLanes], segments[kLanes];
      std::fill_n(step, kLanes, static_cast<uint32_t>(constant_bits_[b]));
      std::fill_n(segments, kLanes, static_cast<uint32_t>(constant_bits_[c]));
      list.back() = control::shuffle_sources(kind, step, segments, &list[1]);
      flags |= 2;
    }
    emit({.run = control::shuffle,
          .d = d.at,
          .a = a,
          .b = b,
          .c = c,
          .e = with_predicate ? destination(s.operands[1], Type::pred).at : 0,
          .flags = byte(flags),
          .value = kind,
          .list = keep(std::move(list))});
    finish(d);
  }

  void vote(const Statement& s) {
    const uint32_t a = source(s.operands[1], Type::pred);
    const uint32_t b = source(s.operands[2], Type::u32);
    const Destination d = destination(s.operands[0], s.has("ballot") ? Type::u32 : Type::pred);
    emit({.run = control::vote,
          .d = d.at,
          .a = a,
          .b = b,
          .flags = byte(s.operands[1].negated),
          .value = s.has("all")   ? 0
                   : s.has("any") ? 1
                   : s.has("uni") ? 2
                                  : 3});
    finish(d);
  }

  void match(const Statement& s) {
    const Type type = type_of(s.parts.back());
    const bool with_predicate = s.operands.size() == 4;
    const size_t p = with_predicate ? 2 : 1;
    const uint32_t a = source(s.operands[p], type);
    const uint32_t b = source(s.operands[p + 1], Type::u32);
    const Destination d = destination(s.operands[0], Type::u32);
    emit({.run = control::match,
          .d = d.at,
          .a = a,
          .b = b,
          .e = with_predicate ? destination(s.operands[1], Type::pred).at : 0,
          .size = byte(size_of(type)),
          .flags = byte(with_predicate),
          .value = s.has("all")});
    finish(d);
  }

  void redux(const Statement& s) {
    const Type type = type_of(s.parts.back());
    if (is_float(type)) fail("redux of floats");
    const uint32_t a = source(s.operands[1], Type::u32);
    const uint32_t b = source(s.operands[2], Type::u32);
    const Destination d = destination(s.operands[0], Type::u32);
    emit({.run = control::redux,
          .d = d.at,
          .a = a,
          .b = b,
          .value = s.has("add")   ? 0
                   : s.has("min") ? (is_signed(type) ? 3 : 1)
                   : s.has("max") ? (is_signed(type) ? 4 : 2)
                   : s.has("and") ? 5
                   : s.has("or")  ? 6
                                  : 7});
    finish(d);
  }

  void convert_address(const Statement& s) {
    const auto begin = static_cast<int64_t>(window(space_of(s)));
    const uint32_t a = source(s.operands[1], Type::u64);
    const Destination d = destination(s.operands[0], Type::u64);
    emit({.run = add_wide, .d = d.at, .a = a, .value = s.has("to") ? -begin : begin});
    finish(d);
  }

  void async_copy_op(const Statement& s) {
    if (s.has("commit_group") || s.has("wait_group") || s.has("wait_all"))
      return emit({.run = control::fence});
    if (s.has("bulk") || s.has("mbarrier")) fail("bulk copies");
    const Place to = address(s.operands[0], Space::shared);
    const Place from = address(s.operands[1], Space::global);
    const bool sized = s.operands.size() > 3 && register_type(s.operands[3].name) != Type::pred;
    const uint32_t c = sized ? source(s.operands[3], Type::u32) : 0;
    const Handler run = async_copy(static_cast<int>(s.operands[2].value));
    if (run == nullptr) fail("a size that the executor lacks");
    emit({.run = run,
          .a = to.base,
          .b = from.base,
          .c = c,
          .e = static_cast<uint32_t>(from.displacement),
          .flags = to.wide ? kWideAddress : byte(0),
          .value = to.displacement});
  }

  void call(const Statement& s, int depth) {
    const std::string& name = s.operands[0].name;
    std::vector<uint32_t> offsets;
    for (size_t n = 1; n < s.operands.size(); ++n) {
      const auto local = scope_->locals.find(s.operands[n].name);
      offsets.push_back(local == scope_->locals.end() ? 0 : static_cast<uint32_t>(local->second));
    }
    const Function* callee = module_.function(name);
    if (callee == nullptr || !callee->defined) {
      offsets.erase(offsets.begin(), offsets.begin() + s.results);
      return emit({.run = name == "vprintf"        ? control::print
                          : name == "__assertfail" ? control::assert_fail
                                                   : unknown_call,
                   .list = keep(std::move(offsets))});
    }
    if (depth >= kMaxDepth) fail("calls that nest too deep, or recursion");
    Scope inner;
    inner.function = callee;
    inner.body = &module_.body(*callee);
    size_t next = 0;
    for (const Parameter& p : callee->results) inner.locals[p.name] = offsets.at(next++);
    for (const Parameter& p : callee->parameters) inner.locals[p.name] = offsets.at(next++);
    const size_t skip = kernel_->code.size();
    if (guard_ >= 0) emit({.run = control::bra, .guard_negated = true});
    const bool guarded = guard_ >= 0;
    Scope* outer = scope_;
    inline_body(inner, depth + 1);
    if (guarded) branches_.emplace_back(skip, inner.end_label());
    scope_ = outer;
    statement_ = &s;
    emit({.run = control::nothing});
  }

  void inline_body(Scope& scope, int depth) {
    scope_ = &scope;
    for (const Variable& v : scope.body->variables) {
      if (v.space != Space::local && v.space != Space::param) continue;
      scope.locals[v.name] = round_up(kernel_->local_bytes, std::max(v.align, 1));
      kernel_->local_bytes = scope.locals[v.name] + v.size;
    }
    const auto& statements = scope.body->statements;
    for (const Statement& s : statements) {
      if (s.operands.empty()) continue;
      ++scope.writes[s.operands[0].name];
      for (const Operand& o : s.operands[0].elements) ++scope.writes[o.name];
    }
    scope.first_label = labels_.size();
    labels_.resize(labels_.size() + statements.size() + 1);
    const auto here = [&] { return static_cast<int>(kernel_->code.size()); };
    for (size_t n = 0; n < statements.size(); ++n) {
      const Statement& s = statements[n];
      statement_ = &s;
      labels_[scope.first_label + n] = here();
      guard_ = s.guard.empty() ? -1 : static_cast<int32_t>(place(s.guard));
      guard_negated_ = s.guard_negated;
      statement(s, depth);
      scope_ = &scope;
    }
    guard_ = -1;
    guard_negated_ = false;
    labels_[scope.end_label()] = here();
  }

  void statement(const Statement& s, int depth) {
    const std::string_view op = s.parts[0];
    if (is_constant_move(s)) {  // counted as the instruction that it is
      scope_->registers[s.operands[0].name] = source(s.operands[1], type_of(s.parts.back()));
      return emit({.run = control::nothing});
    }
    if (op == "mov" && s.operands.size() == 2 &&
        (s.operands[0].kind == Operand::Kind::vector ||
         s.operands[1].kind == Operand::Kind::vector))
      return pack_or_unpack(s);
    if (op == "ld" || op == "ldu") return load_or_store(s, true);
    if (op == "st") return load_or_store(s, false);
    if (op == "atom" || op == "red") return atomic_op(s, op == "atom");
    if (op == "bra") return emit_branch(label(s.operands[0].name));
    if (op == "bar" || op == "barrier") return barrier(s);
    if (op == "shfl") return shuffle(s);
    if (op == "vote") return vote(s);
    if (op == "match") return match(s);
    if (op == "redux") return redux(s);
    if (op == "activemask")
      return emit({.run = control::active_mask, .d = destination(s.operands[0], Type::u32).at});
    if (op == "cvta") return convert_address(s);
    if (op == "call") return call(s, depth);
    if (op == "ret" && depth > 0) return emit_branch(scope_->end_label());
    if (op == "exit" || op == "ret") return emit({.run = control::exit});
    if (op == "trap") return emit({.run = control::trap});
    if (op == "membar" || op == "fence") return emit({.run = control::fence});
    if (op == "cp" && s.has("async")) return async_copy_op(s);
    if (op == "isspacep") {
      const uint32_t a = source(s.operands[1], Type::u64);
      return emit({.run = is_in_space,
                   .d = destination(s.operands[0], Type::pred).at,
                   .a = a,
                   .value = static_cast<int64_t>(space_of(s))});
    }
    if (op == "nanosleep" || op == "griddepcontrol" || op == "prefetch" || op == "prefetchu")
      return emit({.run = control::nothing});
    arithmetic_op(s);
  }

  Module& module_;
  const Function& function_;
  const std::map<std::string, uint64_t>& variables_;
  std::unique_ptr<Kernel> kernel_;
  Scope* scope_ = nullptr;
  const Statement* statement_ = nullptr;
  int32_t guard_ = -1;
  bool guard_negated_ = false;
  uint32_t constant_bytes_ = 0;
  uint32_t predicates_ = 0;
  int predicates_left_ = 0;
  int64_t dynamic_align_ = 1;
  std::map<std::pair<int, uint64_t>, uint32_t> constants_;
  std::unordered_map<uint32_t, uint64_t> constant_bits_;  ///< by offset
  std::map<const Variable*, int64_t> shared_;             ///< offsets
  std::set<std::string> lain_out_;
  std::vector<int> labels_;                          ///< instruction numbers
  std::vector<std::pair<size_t, size_t>> branches_;  ///< instruction and label
};

}  // namespace

std::unique_ptr<Kernel> decode(Module& module, const Function& function,
                               const std::map<std::string, uint64_t>& variables) {
  return Decoder(module, function, variables).decode();
}

}  // namespace derrd::ptx
