// Statements become instructions: registers get their places, labels their numbers, calls are
// inlined.

#include <algorithm>
#include <bit>
#include <functional>
#include <set>

#include "tests/ptx_executor/machine.h"

namespace ptxe {

namespace {

constexpr uint32_t kNarrow = 4 * kLanes;
constexpr uint32_t kWide = 8 * kLanes;
constexpr int kMaxDepth = 16;

uint32_t cell_bytes(Type type) { return size_of(type) == 8 ? kWide : kNarrow; }
Type bits_of(int size) {
  switch (size) {
    case 1:
      return Type::u8;
    case 2:
      return Type::u16;
    case 4:
      return Type::u32;
    default:
      return Type::u64;
  }
}

template <class T>
void pack(Warp& w, const Instruction& i, Mask m) {
  auto* d = w.cells<T>(i.d);
  const int bits = i.size * 8;
  for (; m != 0; m &= m - 1) {
    const int l = std::countr_zero(m);
    uint64_t r = 0;
    for (int k = 0; k < i.count; ++k) {
      const uint64_t element =
          i.size == 8 ? w.cells<uint64_t>(i.list[k])[l] : w.cells<uint32_t>(i.list[k])[l];
      r |= (bits == 64 ? element : element & ((uint64_t{1} << bits) - 1)) << (k * bits);
    }
    d[l] = static_cast<T>(r);
  }
}
template <class T>
void unpack(Warp& w, const Instruction& i, Mask m) {
  const auto* a = w.cells<T>(i.a);
  const int bits = i.size * 8;
  for (; m != 0; m &= m - 1) {
    const int l = std::countr_zero(m);
    const uint64_t x = a[l];
    for (int k = 0; k < i.count; ++k) {
      const uint64_t element = bits == 64 ? x : (x >> (k * bits)) & ((uint64_t{1} << bits) - 1);
      w.cells<uint32_t>(i.list[k])[l] = static_cast<uint32_t>(element);
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
  w.fault(i, std::countr_zero(m), 719, "a call of a function that the executor lacks");
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
    {"%nwarpid", Special::nwarpid},
    {"%smid", Special::smid},
    {"%nsmid", Special::nsmid},
    {"%gridid", Special::gridid},
    {"%lanemask_eq", Special::lanemask_eq},
    {"%lanemask_le", Special::lanemask_le},
    {"%lanemask_lt", Special::lanemask_lt},
    {"%lanemask_ge", Special::lanemask_ge},
    {"%lanemask_gt", Special::lanemask_gt},
    {"%dynamic_smem_size", Special::dynamic_smem_size},
    {"%total_smem_size", Special::total_smem_size},
    // A cluster is one block.
    {"%clusterid.x", Special::ctaid_x},
    {"%clusterid.y", Special::ctaid_y},
    {"%clusterid.z", Special::ctaid_z},
    {"%nclusterid.x", Special::nctaid_x},
    {"%nclusterid.y", Special::nctaid_y},
    {"%nclusterid.z", Special::nctaid_z},
    {"%cluster_ctaid.x", Special::zero},
    {"%cluster_ctaid.y", Special::zero},
    {"%cluster_ctaid.z", Special::zero},
    {"%cluster_ctarank", Special::zero},
    {"%cluster_nctaid.x", Special::one},
    {"%cluster_nctaid.y", Special::one},
    {"%cluster_nctaid.z", Special::one},
    {"%cluster_nctarank", Special::one},
    {"%is_explicit_cluster", Special::zero},
};

class Decoder {
 public:
  using Address = uint64_t (*)(Module&, const std::string&);

  Decoder(Module& module, const Function& function, Address symbol_address)
      : module_(module),
        function_(function),
        symbol_address_(symbol_address),
        kernel_(std::make_unique<Kernel>()) {}

  std::unique_ptr<Kernel> decode() {
    kernel_->name = function_.name;
    kernel_->module = &module_;
    kernel_->function = &function_;
    reserve(kWide);  // what absent operands point at
    lay_out_shared(function_, 0);
    for (const auto& [name, align] : dynamic_) dynamic_align_ = std::max(dynamic_align_, align);
    kernel_->static_shared =
        (kernel_->static_shared + dynamic_align_ - 1) / dynamic_align_ * dynamic_align_;
    Scope scope;
    scope.function = &function_;
    scope.body = &module_.body(function_);
    inline_body(scope, 0);
    emit(control::exit);
    for (const auto& fix : fixes_) kernel_->code[fix.first].target = fix.second->second;
    for (const auto& [list, targets] : tables_) {
      for (size_t t = 0; t < targets.size(); ++t) (*list)[t] = static_cast<uint32_t>(*targets[t]);
    }
    kernel_->local_bytes = (kernel_->local_bytes + 15) / 16 * 16;
    lay_out_constants();
    return std::move(kernel_);
  }

 private:
  /// A function's body at one place where it is inlined.
  struct Scope {
    const Function* function = nullptr;
    const Body* body = nullptr;
    std::unordered_map<std::string, uint32_t> registers;
    std::unordered_map<std::string_view, int> writes;  ///< statements that write a register
    std::unordered_map<std::string, int64_t> locals;   ///< offsets in a thread's local memory
    std::vector<std::shared_ptr<std::pair<int, int>>>
        places;  ///< per statement: (0, number of its first instruction)
    std::shared_ptr<std::pair<int, int>> end = std::make_shared<std::pair<int, int>>(0, 0);
  };

  [[noreturn]] void fail(const std::string& what) const {
    throw PtxError(kernel_->name + ": PTX line " +
                   std::to_string(statement_ == nullptr ? 0 : statement_->line) + ": " + what +
                   ": " +
                   (statement_ == nullptr ? std::string() : module_.line_text(statement_->line)));
  }

  // ---------------------------------------------------------------- places

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
    for (const auto& [text, special] : kSpecials) {
      if (text != name) continue;
      for (const auto& [known, offset] : kernel_->specials) {
        if (known == special) return offset;
      }
      const uint32_t offset = reserve(Type::u32);
      kernel_->specials.emplace_back(special, offset);
      return offset;
    }
    return 0;
  }

  // ---------------------------------------------------------------- shared memory

  void lay_out_shared(const Function& function, int depth) {
    if (depth > kMaxDepth || !lain_out_.insert(function.name).second) return;
    const Body& body = module_.body(function);
    const auto place_variable = [&](const Variable& v) {
      if (shared_.contains(&v)) return;
      if (v.external || v.size == 0) {
        dynamic_.emplace_back(&v, std::max<int64_t>(16, v.align));
        return;
      }
      kernel_->static_shared = (kernel_->static_shared + v.align - 1) / v.align * v.align;
      shared_[&v] = kernel_->static_shared;
      kernel_->static_shared += v.size;
    };
    for (const Variable& v : body.variables) {
      if (v.space == Space::shared) place_variable(v);
    }
    const std::function<void(const Operand&)> look = [&](const Operand& o) {
      for (const Operand& e : o.elements) look(e);
      if (o.kind != Operand::Kind::symbol && o.kind != Operand::Kind::address) return;
      const Variable* v = module_.variable(o.name);
      if (v != nullptr && v->space == Space::shared) place_variable(*v);
    };
    for (const Statement& s : body.statements) {
      for (const Operand& o : s.operands) look(o);
      if (s.parts[0] == "call") {
        const Function* callee = module_.function(s.operands[0].name);
        if (callee != nullptr && callee->defined) lay_out_shared(*callee, depth + 1);
      }
    }
  }

  // ---------------------------------------------------------------- emitting

  Instruction& emit(Handler run) {
    kernel_->code.emplace_back();
    Instruction& made = kernel_->code.back();
    made.run = run;
    made.guard = guard_;
    made.guard_negated = guard_negated_;
    kernel_->origins.push_back(
        statement_ == nullptr ? Origin{} : Origin{statement_->line, statement_->location});
    return made;
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
    const uint64_t address = symbol_address_(module_, name);
    if (address == 0) fail("unknown symbol " + name);
    return {v != nullptr && v->space == Space::constant ? Space::constant : Space::global,
            static_cast<int64_t>(address)};
  }

  /// A place that holds the operand as that type.
  uint32_t source(const Operand& o, Type type) {
    switch (o.kind) {
      case Operand::Kind::number: {
        uint64_t bits = static_cast<uint64_t>(o.value);
        if (o.is_double && type == Type::f32)
          bits = std::bit_cast<uint32_t>(static_cast<float>(std::bit_cast<double>(o.value)));
        if (o.single && size_of(type) == 8)
          bits = std::bit_cast<uint64_t>(
              static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(o.value))));
        return constant(bits, type);
      }
      case Operand::Kind::symbol: {
        if (o.name == "WARP_SZ") return constant(kLanes, type);
        if (scope_->body->registers.contains(o.name)) break;
        return constant(static_cast<uint64_t>(symbol(o.name).offset + o.value), type);
      }
      case Operand::Kind::reg:
        break;
      default:
        fail("an operand that the executor does not take here");
    }
    const Type declared = register_type(o.name);
    if (declared == Type::none) {
      if (o.name == "%clock64" || o.name == "%globaltimer") {
        const uint32_t d = reserve(Type::u64);
        emit(control::clock64).d = d;
        return d;
      }
      if (o.name == "%clock" || o.name == "%clock_hi" || o.name == "%globaltimer_lo" ||
          o.name == "%globaltimer_hi") {
        const uint32_t d = reserve(Type::u32);
        emit(control::clock32).d = d;
        return d;
      }
      const uint32_t at = special(o.name);
      if (at == 0) fail("unknown register " + o.name);
      return resized(at, Type::u32, type);
    }
    if (type == Type::pred || declared == Type::pred) return place(o.name);
    return resized(place(o.name), declared, type);
  }
  uint32_t resized(uint32_t at, Type from, Type to) {
    if (cell_bytes(from) == cell_bytes(to)) return at;
    const Type bits = bits_of(size_of(to));
    const uint32_t d = reserve(bits);
    Instruction& i = emit(conversion(bits, bits_of(size_of(from)), nullptr));
    i.a = at;
    i.d = d;
    return d;
  }

  /// A place for a result of that type; `after` is what has to be emitted behind the instruction.
  struct Destination {
    uint32_t at = 0;
    uint32_t final_at = 0;
    Type from = Type::none;
    Type to = Type::none;
  };
  Destination destination(const Operand& o, Type type) {
    if (o.name == "_") return {reserve(type), 0, Type::none, Type::none};
    const Type declared = register_type(o.name);
    const uint32_t at = place(o.name);
    if (type == Type::pred || declared == Type::pred || cell_bytes(declared) == cell_bytes(type))
      return {at, 0, Type::none, Type::none};
    return {reserve(bits_of(size_of(type))), at, type, declared};
  }
  void finish(const Destination& d) {
    if (d.from == Type::none) return;
    const Type from = is_signed(d.from) ? d.from : bits_of(size_of(d.from));
    Instruction& i = emit(conversion(bits_of(size_of(d.to)), from, nullptr));
    i.a = d.at;
    i.d = d.final_at;
  }

  struct Place {
    Space space = Space::generic;
    uint32_t base = 0;
    bool wide = true;
    int64_t displacement = 0;
    bool uniform = false;  ///< the address is the displacement alone
  };
  Place address(const Operand& o, Space space) {
    Place made{space, 0, true, o.value, false};
    const bool is_register = !o.name.empty() && scope_->body->registers.contains(o.name);
    if (space == Space::param && !scope_->function->entry) made.space = Space::local;
    if (is_register) {
      made.base = place(o.name);
      if (const auto known = constant_bits_.find(made.base);
          known != constant_bits_.end() && made.space == Space::param) {
        made.displacement += static_cast<int64_t>(known->second);
        made.base = constant(0, Type::u64);
        made.uniform = true;
        return made;
      }
      made.wide = cell_bytes(register_type(o.name)) == kWide;
      if (!made.wide && (made.space == Space::global || made.space == Space::constant ||
                         made.space == Space::generic)) {
        made.base = resized(made.base, Type::u32, Type::u64);
        made.wide = true;
      }
      return made;
    }
    if (!o.name.empty()) {
      const Symbol s = symbol(o.name);
      made.displacement += s.offset;
      if (space == Space::generic && s.space != Space::global && s.space != Space::constant) {
        made.displacement += static_cast<int64_t>(window(s.space));
      } else if (space != Space::generic) {
        made.space = s.space;
      }
    }
    made.wide = made.space == Space::global || made.space == Space::constant ||
                made.space == Space::generic;
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
    int count = s.has("v2") ? 2 : s.has("v4") ? 4 : s.has("v8") ? 8 : 1;
    if (size == 0) fail("unknown type");
    const Place at = address(s.operands[is_load ? 0 + 1 : 0], space_of(s));
    const Operand& data = s.operands[is_load ? 0 : 1];
    std::vector<const Operand*> elements;
    if (data.kind == Operand::Kind::vector) {
      for (const Operand& e : data.elements) elements.push_back(&e);
      count = static_cast<int>(elements.size());
    } else {
      elements.push_back(&data);
    }
    // Registers may be wider than what is moved; all of a vector are alike.
    int register_bytes = size == 8 ? 8 : 4;
    for (const Operand* e : elements) {
      if (e->kind == Operand::Kind::reg && register_type(e->name) != Type::none &&
          register_type(e->name) != Type::pred && cell_bytes(register_type(e->name)) == kWide)
        register_bytes = 8;
    }
    const Type cell = register_bytes == 8 ? Type::u64 : size == 8 ? Type::u64 : Type::u32;
    std::vector<uint32_t> places;
    std::vector<Destination> destinations;
    for (const Operand* e : elements) {
      if (is_load) {
        destinations.push_back(destination(*e, cell));
        places.push_back(destinations.back().at);
      } else {
        places.push_back(source(*e, e->kind == Operand::Kind::number
                                        ? (register_bytes == 8 ? (size == 8 ? type : Type::u64)
                                           : size == 4         ? type
                                                               : Type::u32)
                                        : cell));
      }
    }
    const Handler run = is_load ? load(at.space, size, count, is_signed(type), register_bytes)
                                : store(at.space, size, count, register_bytes);
    if (run == nullptr) fail("a width that the executor lacks");
    Instruction& i = emit(run);
    i.a = at.base;
    const bool strong = s.has("volatile") || s.has("relaxed") || s.has("acquire") ||
                        s.has("release") || s.has("mmio");
    i.flags = static_cast<uint8_t>((at.wide ? 1 : 0) | (strong ? 2 : 0) | (at.uniform ? 4 : 0));
    i.value = at.displacement;
    i.size = static_cast<uint8_t>(size);
    i.count = static_cast<uint8_t>(count);
    if (count > 1)
      kernel_->code.back().list = keep(std::move(places));
    else if (is_load)
      i.d = places[0];
    else
      i.b = places[0];
    for (const Destination& d : destinations) finish(d);
  }

  void atomic_op(const Statement& s, bool returns) {
    const Type type = type_of(s.parts.back());
    size_t next = returns ? 1 : 0;
    const Place at = address(s.operands[next++], space_of(s));
    const uint32_t b = source(s.operands[next++], type);
    const uint32_t c =
        next < s.operands.size() && s.has("cas") ? source(s.operands[next], type) : 0;
    Destination d;
    if (returns) d = destination(s.operands[0], type);
    const Handler run = atomic(at.space, s, type, returns);
    if (run == nullptr) fail("an atomic that the executor lacks");
    Instruction& i = emit(run);
    i.a = at.base;
    i.b = b;
    i.c = c;
    i.d = d.at;
    i.flags = at.wide ? 1 : 0;
    i.value = at.displacement;
    i.size = static_cast<uint8_t>(size_of(type));
    finish(d);
  }

  void pack_or_unpack(const Statement& s) {
    const Type type = type_of(s.parts.back());
    const bool packs = s.operands[1].kind == Operand::Kind::vector;
    const Operand& vector = s.operands[packs ? 1 : 0];
    const auto count = static_cast<int>(vector.elements.size());
    const int size = size_of(type) / count;
    if (size_of(type) > 8) fail("128-bit moves");
    std::vector<uint32_t> places;
    std::vector<Destination> destinations;
    for (const Operand& e : vector.elements) {
      if (packs) {
        places.push_back(source(e, bits_of(size)));
      } else {
        destinations.push_back(destination(e, bits_of(size)));
        places.push_back(destinations.back().at);
      }
    }
    Destination d;
    uint32_t a = 0;
    if (packs)
      d = destination(s.operands[0], type);
    else
      a = source(s.operands[1], type);
    const bool wide = size_of(type) == 8;
    Instruction& i = emit(packs ? (wide ? pack<uint64_t> : pack<uint32_t>)
                                : (wide ? unpack<uint64_t> : unpack<uint32_t>));
    i.d = d.at;
    i.a = a;
    i.size = static_cast<uint8_t>(size);
    i.count = static_cast<uint8_t>(count);
    i.list = keep(std::move(places));
    finish(d);
    for (const Destination& e : destinations) finish(e);
  }

  /// Whether a move is the only statement that writes a register, and writes a known value.
  bool is_constant_register(const Statement& s) const {
    const Operand& from = s.operands[1];
    const int size = size_of(type_of(s.parts.back()));
    return s.guard.empty() && s.operands.size() == 2 && size >= 4 &&
           (from.kind == Operand::Kind::number ||
            (from.kind == Operand::Kind::symbol && !scope_->body->registers.contains(from.name))) &&
           size == size_of(register_type(s.operands[0].name)) &&
           scope_->writes.at(s.operands[0].name) == 1;
  }

  void arithmetic_op(const Statement& s) {
    const Arithmetic op = arithmetic(s);
    if (op.run == nullptr) fail("an instruction that the executor lacks");
    const bool second = s.parts[0] == "setp" && (op.flags & 8) != 0;
    const size_t first = second ? 2 : 1;
    std::array<uint32_t, 4> sources{};
    for (int n = 0; n < op.source_count; ++n) {
      if (first + static_cast<size_t>(n) >= s.operands.size()) fail("too few operands");
      sources[static_cast<size_t>(n)] =
          source(s.operands[first + static_cast<size_t>(n)], op.sources[static_cast<size_t>(n)]);
    }
    const Destination d = destination(s.operands[0], op.result);
    const uint32_t e = second ? destination(s.operands[1], Type::pred).at : sources[3];
    Instruction& i = emit(op.run);
    i.d = d.at;
    i.a = sources[0];
    i.b = sources[1];
    i.c = sources[2];
    i.e = e;
    i.value = op.value;
    i.flags = op.flags;
    finish(d);
  }

  void branch(const Statement& s) {
    const auto label = scope_->body->labels.find(s.operands[0].name);
    if (label == scope_->body->labels.end()) fail("unknown label");
    emit(control::bra);
    fixes_.emplace_back(kernel_->code.size() - 1,
                        scope_->places[static_cast<size_t>(label->second)]);
  }

  void branch_table(const Statement& s) {
    const auto found = scope_->body->branch_targets.find(s.operands[1].name);
    if (found == scope_->body->branch_targets.end()) fail("unknown table");
    const uint32_t a = source(s.operands[0], Type::u32);
    std::vector<int*> targets;
    for (const std::string& name : found->second) {
      const auto label = scope_->body->labels.find(name);
      if (label == scope_->body->labels.end()) fail("unknown label " + name);
      const auto& place = scope_->places[static_cast<size_t>(label->second)];
      kept_places_.push_back(place);
      targets.push_back(&place->second);
    }
    Instruction& i = emit(control::brx);
    i.a = a;
    i.value = static_cast<int64_t>(targets.size());
    i.list = keep(std::vector<uint32_t>(targets.size()));
    tables_.emplace_back(kernel_->lists.back().get(), std::move(targets));
  }

  void barrier(const Statement& s) {
    if (s.has("warp")) {
      const uint32_t a = source(s.operands[0], Type::u32);
      emit(control::warp_barrier).a = a;
      return;
    }
    if (s.has("cluster")) fail("barriers of clusters");
    const bool reduces = s.has("red");
    const bool arrives = s.has("arrive");
    size_t next = reduces ? 1 : 0;
    const uint32_t a =
        next < s.operands.size() ? source(s.operands[next++], Type::u32) : constant(0, Type::u32);
    const bool counted = next + (reduces ? 1 : 0) < s.operands.size();
    const uint32_t b = counted ? source(s.operands[next++], Type::u32) : 0;
    uint32_t c = 0;
    uint32_t d = 0;
    uint8_t flags = (s.parts[0] == "bar" || s.has("aligned") ? 1 : 0) | (counted ? 2 : 0) |
                    (arrives   ? 4
                     : reduces ? 8
                               : 0);
    int64_t kind = 0;
    if (reduces) {
      c = source(s.operands[next], Type::pred);
      if (s.operands[next].negated) flags |= 16;
      kind = s.has("popc") ? 1 : s.has("and") ? 2 : 3;
      d = destination(s.operands[0], kind == 1 ? Type::u32 : Type::pred).at;
    }
    Instruction& i = emit(control::barrier);
    i.a = a;
    i.b = b;
    i.c = c;
    i.d = d;
    i.flags = flags;
    i.value = kind;
  }

  void warp_op(const Statement& s) {
    const std::string_view op = s.parts[0];
    if (op == "shfl") {
      const bool with_predicate = s.operands.size() == 6;
      const size_t p = with_predicate ? 2 : 1;
      const uint32_t a = source(s.operands[p], Type::b32);
      const uint32_t b = source(s.operands[p + 1], Type::u32);
      const uint32_t c = source(s.operands[p + 2], Type::u32);
      const uint32_t member = source(s.operands[p + 3], Type::u32);
      const Destination d = destination(s.operands[0], Type::b32);
      const uint32_t e = with_predicate ? destination(s.operands[1], Type::pred).at : 0;
      Instruction& i = emit(control::shuffle);
      i.a = a;
      i.b = b;
      i.c = c;
      i.d = d.at;
      i.e = e;
      i.flags = with_predicate ? 1 : 0;
      i.value = s.has("up") ? 0 : s.has("down") ? 1 : s.has("bfly") ? 2 : 3;
      std::vector<uint32_t> list(1 + kLanes + 1, member);
      if (constant_bits_.contains(b) && constant_bits_.contains(c)) {  // the sources are known
        uint32_t step[kLanes], segments[kLanes];
        std::fill_n(step, kLanes, static_cast<uint32_t>(constant_bits_[b]));
        std::fill_n(segments, kLanes, static_cast<uint32_t>(constant_bits_[c]));
        list.back() = control::shuffle_sources(static_cast<int>(i.value), step, segments, &list[1]);
        i.flags |= 2;
      }
      i.list = keep(std::move(list));
      finish(d);
    } else if (op == "vote") {
      const bool ballot = s.has("ballot");
      const uint32_t a = source(s.operands[1], Type::pred);
      const uint32_t b = source(s.operands[2], Type::u32);
      const Destination d = destination(s.operands[0], ballot ? Type::u32 : Type::pred);
      Instruction& i = emit(control::vote);
      i.a = a;
      i.b = b;
      i.d = d.at;
      i.flags = s.operands[1].negated ? 1 : 0;
      i.value = s.has("all") ? 0 : s.has("any") ? 1 : s.has("uni") ? 2 : 3;
    } else if (op == "match") {
      const Type type = type_of(s.parts.back());
      const bool with_predicate = s.operands.size() == 4;
      const size_t p = with_predicate ? 2 : 1;
      const uint32_t a = source(s.operands[p], type);
      const uint32_t b = source(s.operands[p + 1], Type::u32);
      const Destination d = destination(s.operands[0], Type::u32);
      const uint32_t e = with_predicate ? destination(s.operands[1], Type::pred).at : 0;
      Instruction& i = emit(control::match);
      i.a = a;
      i.b = b;
      i.d = d.at;
      i.e = e;
      i.flags = with_predicate ? 1 : 0;
      i.size = static_cast<uint8_t>(size_of(type));
      i.value = s.has("all") ? 1 : 0;
    } else if (op == "redux") {
      const Type type = type_of(s.parts.back());
      const uint32_t a = source(s.operands[1], Type::u32);
      const uint32_t b = source(s.operands[2], Type::u32);
      const Destination d = destination(s.operands[0], Type::u32);
      Instruction& i = emit(control::redux);
      i.a = a;
      i.b = b;
      i.d = d.at;
      i.value = s.has("add")   ? 0
                : s.has("min") ? (is_signed(type) ? 3 : 1)
                : s.has("max") ? (is_signed(type) ? 4 : 2)
                : s.has("and") ? 5
                : s.has("or")  ? 6
                               : 7;
      if (type == Type::f32) fail("redux of floats");
    } else if (op == "activemask") {
      const uint32_t d = destination(s.operands[0], Type::u32).at;
      emit(control::active_mask).d = d;
    } else {  // elect
      const uint32_t b = source(s.operands[2], Type::u32);
      const uint32_t d = destination(s.operands[0], Type::u32).at;
      const uint32_t e = destination(s.operands[1], Type::pred).at;
      Instruction& i = emit(control::elect);
      i.b = b;
      i.d = d;
      i.e = e;
    }
  }

  void convert_address(const Statement& s) {
    const bool to = s.has("to");
    const Space space = space_of(s);
    const uint32_t a = source(s.operands[1], Type::u64);
    const Destination d = destination(s.operands[0], Type::u64);
    Instruction& i = emit(add_wide);
    i.a = a;
    i.d = d.at;
    i.value = to ? -static_cast<int64_t>(window(space)) : static_cast<int64_t>(window(space));
    finish(d);
  }

  void async(const Statement& s) {
    if (s.has("commit_group") || s.has("wait_group") || s.has("wait_all")) {
      emit(control::fence);
      return;
    }
    if (s.has("bulk") || s.has("mbarrier")) fail("bulk copies");
    const Place to = address(s.operands[0], Space::shared);
    const Place from = address(s.operands[1], Space::global);
    const int size = static_cast<int>(s.operands[2].value);
    const uint32_t c = s.operands.size() > 3 && s.operands[3].kind == Operand::Kind::reg &&
                               register_type(s.operands[3].name) != Type::pred
                           ? source(s.operands[3], Type::u32)
                       : s.operands.size() > 3 && s.operands[3].kind == Operand::Kind::number
                           ? source(s.operands[3], Type::u32)
                           : 0;
    const Handler run = async_copy(size);
    if (run == nullptr) fail("a size that the executor lacks");
    Instruction& i = emit(run);
    i.a = to.base;
    i.flags = to.wide ? 1 : 0;
    i.value = to.displacement;
    i.b = from.base;
    i.e = static_cast<uint32_t>(from.displacement);
    i.c = c;
    i.size = static_cast<uint8_t>(size);
  }

  void memory_barrier(const Statement& s) {  // mbarrier
    const int kind = s.has("init") ? 0 : s.has("arrive") ? 1 : s.has("parity") ? 3 : 2;
    if (s.has("inval")) {
      emit(control::nothing);
      return;
    }
    if (s.has("expect_tx") || s.has("complete_tx") || s.has("arrive_drop"))
      fail("an mbarrier of transactions");
    const size_t first = kind == 0 ? 0 : 1;
    const Place at = address(s.operands[first], space_of(s));
    const bool counted = first + 1 < s.operands.size();
    const uint32_t b =
        counted ? source(s.operands[first + 1], kind == 2 ? Type::u64 : Type::u32) : 0;
    const uint32_t d = kind == 0 || s.operands[0].name == "_"
                           ? 0
                           : destination(s.operands[0], kind == 1 ? Type::u64 : Type::pred).at;
    Instruction& i = emit(control::mbarrier);
    i.a = at.base;
    i.flags = at.wide ? 1 : 0;
    i.value = at.displacement;
    i.b = b;
    i.d = d;
    i.size = static_cast<uint8_t>(kind);
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
      const Handler run = name == "vprintf"        ? control::print
                          : name == "__assertfail" ? control::assert_fail
                                                   : unknown_call;
      emit(run).list = keep(std::move(offsets));
      return;
    }
    if (depth >= kMaxDepth) fail("calls that nest too deep, or recursion");
    Scope inner;
    inner.function = callee;
    inner.body = &module_.body(*callee);
    size_t next = 0;
    for (const Parameter& p : callee->results) inner.locals[p.name] = offsets.at(next++);
    for (const Parameter& p : callee->parameters) inner.locals[p.name] = offsets.at(next++);
    auto end = inner.end;
    const bool guarded = guard_ >= 0;
    if (guarded) {
      emit(control::bra).guard_negated = !guard_negated_;
      fixes_.emplace_back(kernel_->code.size() - 1, end);
    }
    Scope* outer = scope_;
    const Statement* at = statement_;
    inline_body(inner, depth + 1);
    scope_ = outer;
    statement_ = at;
    end->second = static_cast<int>(kernel_->code.size());
    guard_ = -1;
    emit(control::nothing);
  }

  void inline_body(Scope& scope, int depth) {
    scope_ = &scope;
    for (const Variable& v : scope.body->variables) {
      if (v.space != Space::local && v.space != Space::param) continue;
      const int64_t align = std::max(v.align, 1);
      kernel_->local_bytes = (kernel_->local_bytes + align - 1) / align * align;
      scope.locals[v.name] = kernel_->local_bytes;
      kernel_->local_bytes += v.size;
    }
    const auto& statements = scope.body->statements;
    for (const Statement& s : statements) {
      if (s.operands.empty()) continue;
      ++scope.writes[s.operands[0].name];
      for (const Operand& o : s.operands[0].elements) ++scope.writes[o.name];
    }
    for (size_t n = 0; n <= statements.size(); ++n)
      scope.places.push_back(std::make_shared<std::pair<int, int>>(0, 0));
    for (size_t n = 0; n < statements.size(); ++n) {
      const Statement& s = statements[n];
      statement_ = &s;
      scope.places[n]->second = static_cast<int>(kernel_->code.size());
      guard_ = s.guard.empty() ? -1 : static_cast<int32_t>(place(s.guard));
      guard_negated_ = s.guard_negated;
      statement(s, depth);
      scope_ = &scope;
    }
    guard_ = -1;
    scope.places[statements.size()]->second = static_cast<int>(kernel_->code.size());
  }

  void statement(const Statement& s, int depth) {
    const std::string_view op = s.parts[0];
    if (op == "ld" || op == "ldu") return load_or_store(s, true);
    if (op == "st") return load_or_store(s, false);
    if (op == "mov" && s.operands.size() == 2 &&
        (s.operands[0].kind == Operand::Kind::vector ||
         s.operands[1].kind == Operand::Kind::vector)) {
      return pack_or_unpack(s);
    }
    if (op == "mov" && is_constant_register(s)) {
      scope_->registers[s.operands[0].name] = source(s.operands[1], type_of(s.parts.back()));
      emit(control::nothing);
      return;
    }
    if (op == "atom") return atomic_op(s, true);
    if (op == "red") return atomic_op(s, false);
    if (op == "bra") return branch(s);
    if (op == "brx") return branch_table(s);
    if (op == "bar" || op == "barrier") return barrier(s);
    if (op == "shfl" || op == "vote" || op == "match" || op == "redux" || op == "activemask" ||
        op == "elect")
      return warp_op(s);
    if (op == "cvta") return convert_address(s);
    if (op == "call") return call(s, depth);
    if (op == "exit") {
      emit(control::exit);
      return;
    }
    if (op == "ret") {
      if (depth == 0) {
        emit(control::exit);
      } else {
        emit(control::bra);
        fixes_.emplace_back(kernel_->code.size() - 1, scope_->end);
      }
      return;
    }
    if (op == "trap") {
      emit(control::trap);
      return;
    }
    if (op == "membar" || op == "fence") {
      emit(control::fence);
      return;
    }
    if (op == "cp" && s.has("async")) return async(s);
    if (op == "mbarrier") return memory_barrier(s);
    if (op == "isspacep") {
      const uint32_t a = source(s.operands[1], Type::u64);
      const uint32_t d = destination(s.operands[0], Type::pred).at;
      Instruction& i = emit(is_in_space);
      i.a = a;
      i.d = d;
      i.value = static_cast<int64_t>(space_of(s));
      return;
    }
    for (const std::string_view harmless :
         {"nanosleep", "griddepcontrol", "prefetch", "prefetchu", "discard", "applypriority",
          "setmaxnreg", "pmevent", "brkpt"}) {
      if (op == harmless) {
        emit(op == "nanosleep" ? control::yield : control::nothing);
        return;
      }
    }
    arithmetic_op(s);
  }

  Module& module_;
  const Function& function_;
  Address symbol_address_;
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
  std::map<const Variable*, int64_t> shared_;
  std::vector<std::pair<const Variable*, int64_t>> dynamic_;
  std::set<std::string> lain_out_;
  std::vector<std::pair<size_t, std::shared_ptr<std::pair<int, int>>>> fixes_;
  std::vector<std::shared_ptr<std::pair<int, int>>> kept_places_;
  std::vector<std::pair<std::vector<uint32_t>*, std::vector<int*>>> tables_;
};

}  // namespace

std::unique_ptr<Kernel> decode(Module& module, const Function& function,
                               uint64_t (*symbol_address)(Module&, const std::string&)) {
  return Decoder(module, function, symbol_address).decode();
}

}  // namespace ptxe
