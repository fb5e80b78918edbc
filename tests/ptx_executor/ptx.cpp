#include "tests/ptx_executor/ptx.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace derrd::ptx {

namespace {

struct TypeRow {
  std::string_view name;
  Type type;
  int size;
};
constexpr TypeRow kTypes[] = {
    {"pred", Type::pred, 0}, {"b8", Type::b8, 1},   {"b16", Type::b16, 2}, {"b32", Type::b32, 4},
    {"b64", Type::b64, 8},   {"u8", Type::u8, 1},   {"u16", Type::u16, 2}, {"u32", Type::u32, 4},
    {"u64", Type::u64, 8},   {"s8", Type::s8, 1},   {"s16", Type::s16, 2}, {"s32", Type::s32, 4},
    {"s64", Type::s64, 8},   {"f32", Type::f32, 4}, {"f64", Type::f64, 8}};

}  // namespace

Type type_of(std::string_view name) {
  for (const TypeRow& row : kTypes) {
    if (row.name == name) return row.type;
  }
  return Type::none;
}

int size_of(Type type) {
  for (const TypeRow& row : kTypes) {
    if (row.type == type) return row.size;
  }
  return 0;
}

bool is_signed(Type type) {
  return type == Type::s8 || type == Type::s16 || type == Type::s32 || type == Type::s64;
}

bool is_float(Type type) { return type == Type::f32 || type == Type::f64; }

bool Statement::has(std::string_view part) const {
  return std::find(parts.begin() + 1, parts.end(), part) != parts.end();
}

namespace {

enum class Kind : uint8_t { end, word, number, text, punctuation };

struct Token {
  Kind kind = Kind::end;
  std::string_view text;
  int line = 0;
  size_t offset = 0;
};

/// Splits PTX into words (with their dots), numbers, quoted texts and punctuation.
class Lexer {
 public:
  Lexer(std::string_view text, size_t begin, size_t end, int line)
      : text_(text.substr(0, end)), at_(begin), line_(line) {
    next();
  }

  const Token& peek() const { return token_; }
  Token take() {
    const Token token = token_;
    next();
    return token;
  }
  bool is(std::string_view text) const { return token_.kind != Kind::text && token_.text == text; }
  bool accept(std::string_view text) {
    if (!is(text)) return false;
    next();
    return true;
  }
  void expect(std::string_view text) {
    if (!accept(text)) fail("expected '" + std::string(text) + "'");
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw PtxError(fmt::format("PTX line {}: {} at '{}'", token_.line, what, token_.text));
  }
  /// Behind the brace that closes the one which has just been taken; for bodies that nobody needs
  /// yet.
  void skip_braces() {
    int depth = 1;
    // token_ is the first token inside
    size_t at = token_.offset;
    int line = token_.line;
    for (; at < text_.size(); ++at) {
      const char c = text_[at];
      if (c == '\n')
        ++line;
      else if (c == '"')
        at = text_.find('"', at + 1);
      else if (c == '{')
        ++depth;
      else if (c == '}' && --depth == 0)
        break;
    }
    at_ = at;
    line_ = line;
    next();
  }

 private:
  static bool word_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c == '%' ||
           c == '.';
  }
  static bool word_part(char c) { return word_start(c) || (c >= '0' && c <= '9'); }

  void next() {
    skip_space();
    token_.line = line_;
    token_.offset = at_;
    if (at_ >= text_.size()) {
      token_ = {Kind::end, {}, line_, at_};
      return;
    }
    const size_t begin = at_;
    const char c = text_[at_];
    if (word_start(c)) {
      while (at_ < text_.size()) {
        if (word_part(text_[at_]))
          ++at_;
        else if (text_[at_] == ':' && at_ + 2 < text_.size() && text_[at_ + 1] == ':' &&
                 word_part(text_[at_ + 2]))
          at_ += 2;
        else
          break;
      }
      token_.kind = Kind::word;
    } else if (c >= '0' && c <= '9') {
      while (at_ < text_.size() &&
             (word_part(text_[at_]) && text_[at_] != '$' && text_[at_] != '%'))
        ++at_;
      token_.kind = Kind::number;
    } else if (c == '"') {
      at_ = text_.find('"', at_ + 1) + 1;
      token_.kind = Kind::text;
    } else {
      ++at_;
      token_.kind = Kind::punctuation;
    }
    token_.text = text_.substr(begin, at_ - begin);
  }

  void skip_space() {
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\n')
        ++line_;
      else if (c == '/' && at_ + 1 < text_.size() && text_[at_ + 1] == '/') {
        at_ = text_.find('\n', at_);
        if (at_ == std::string_view::npos) at_ = text_.size();
        --at_;
      } else if (c == '/' && at_ + 1 < text_.size() && text_[at_ + 1] == '*') {
        const size_t end = text_.find("*/", at_);
        line_ += static_cast<int>(std::count(text_.begin() + at_, text_.begin() + end, '\n'));
        at_ = end + 1;
      } else if (c != ' ' && c != '\t' && c != '\r' && c != '\0')
        return;
    }
  }

  std::string_view text_;
  size_t at_;
  int line_;
  Token token_;
};

int64_t parse_number(const Lexer& lexer, std::string_view text, bool* single, bool* is_double) {
  if (text.size() > 2 && text[0] == '0' &&
      (text[1] == 'f' || text[1] == 'F' || text[1] == 'd' || text[1] == 'D')) {
    uint64_t bits = 0;
    std::from_chars(text.data() + 2, text.data() + text.size(), bits, 16);
    (text[1] == 'f' || text[1] == 'F' ? *single : *is_double) = true;
    return static_cast<int64_t>(bits);
  }
  if (text.find('.') != std::string_view::npos) {
    double value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    *is_double = true;
    int64_t bits = 0;
    std::memcpy(&bits, &value, 8);
    return bits;
  }
  if (!text.empty() && (text.back() == 'U')) text.remove_suffix(1);
  uint64_t value = 0;
  std::from_chars_result result{};
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
    result = std::from_chars(text.data() + 2, text.data() + text.size(), value, 16);
  } else if (text.size() > 2 && text[0] == '0' && (text[1] == 'b' || text[1] == 'B')) {
    result = std::from_chars(text.data() + 2, text.data() + text.size(), value, 2);
  } else {
    result = std::from_chars(text.data(), text.data() + text.size(), value, 10);
  }
  if (result.ec != std::errc() || result.ptr != text.data() + text.size())
    lexer.fail("not a number");
  return static_cast<int64_t>(value);
}

int64_t parse_integer(Lexer& lexer) {
  const bool negative = lexer.accept("-");
  bool single = false;
  bool is_double = false;
  const Token token = lexer.take();
  if (token.kind != Kind::number) lexer.fail("expected a number");
  const int64_t value = parse_number(lexer, token.text, &single, &is_double);
  return negative ? -value : value;
}

}  // namespace

/// Recursive descent over a module or over one body.
class Parser {
 public:
  explicit Parser(Module& module) : module_(module) {}

  void module() {
    Lexer lexer(module_.text_, 0, module_.text_.size(), 1);
    while (lexer.peek().kind != Kind::end) top_level(lexer);
  }

  std::unique_ptr<Body> body(const Function& function) {
    auto made = std::make_unique<Body>();
    body_ = made.get();
    scopes_.assign(1, {});
    Lexer lexer(module_.text_, function.body_begin, function.body_end, function.body_line);
    while (lexer.peek().kind != Kind::end) statement(lexer);
    return made;
  }

 private:
  using Scope = std::unordered_map<std::string, std::string>;

  static void skip_line(Lexer& lexer, int line) {
    while (lexer.peek().kind != Kind::end && lexer.peek().line == line) lexer.take();
  }

  void file(Lexer& lexer, int line) {
    const int number = static_cast<int>(parse_integer(lexer));
    const std::string_view quoted = lexer.take().text;
    module_.files_[number] = std::string(quoted.substr(1, quoted.size() - 2));
    skip_line(lexer, line);
  }

  void top_level(Lexer& lexer) {
    const Token token = lexer.take();
    const std::string_view word = token.text;
    if (word == ".target") {
      const std::string_view name = lexer.peek().text;  // sm_90, sm_90a
      for (const char c : name) {
        if (c >= '0' && c <= '9') module_.target_ = module_.target_ * 10 + (c - '0');
      }
    }
    if (word == ".version" || word == ".target" || word == ".address_size" || word == ".loc") {
      skip_line(lexer, token.line);
    } else if (word == ".file") {
      file(lexer, token.line);
    } else if (word == ".section") {
      while (!lexer.accept("{")) lexer.take();
      lexer.skip_braces();
      lexer.expect("}");
    } else if (word == ".pragma") {
      while (!lexer.accept(";")) lexer.take();
    } else if (word == ".alias") {
      while (!lexer.accept(";")) lexer.take();
    } else if (word == ".visible" || word == ".weak" || word == ".common" || word == ".extern") {
      external_ = word == ".extern";
      return;  // of the declaration that follows
    } else if (word == ".entry" || word == ".func") {
      function(lexer, word == ".entry");
      external_ = false;
    } else if (word == ".global" || word == ".const" || word == ".shared") {
      Variable made = variable(lexer, word);
      made.external = external_;
      external_ = false;
      module_.variable_index_.emplace(made.name, module_.variables_.size());
      module_.variables_.push_back(std::move(made));
    } else if (word != ";") {
      lexer.fail("unknown directive");
    }
  }

  static Parameter parameter(Lexer& lexer) {
    Parameter made;
    made.align = 0;
    const Token first = lexer.take();
    if (first.text != ".param" && first.text != ".reg") lexer.fail("expected .param");
    Type type = Type::none;
    bool of_pointee = false;  // ".ptr .space .align n" speaks of what the parameter points to
    while (lexer.peek().text.starts_with(".")) {
      const Token token = lexer.take();
      if (token.text == ".align") {
        const int align = static_cast<int>(parse_integer(lexer));
        if (!of_pointee) made.align = align;
      } else if (token.text == ".ptr")
        of_pointee = true;
      else if (type_of(token.text.substr(1)) != Type::none)
        type = type_of(token.text.substr(1));
    }
    made.name = lexer.take().text;
    made.size = size_of(type);
    if (made.align == 0) made.align = std::max(1, made.size);
    if (lexer.accept("[")) {
      made.size *= lexer.is("]") ? 0 : static_cast<int>(parse_integer(lexer));
      lexer.expect("]");
    }
    return made;
  }

  static std::vector<Parameter> parameters(Lexer& lexer) {
    std::vector<Parameter> made;
    lexer.expect("(");
    while (!lexer.accept(")")) {
      made.push_back(parameter(lexer));
      lexer.accept(",");
    }
    return made;
  }

  void function(Lexer& lexer, bool entry) {
    Function made;
    made.entry = entry;
    if (lexer.is("(")) made.results = parameters(lexer);
    made.name = lexer.take().text;
    if (lexer.is("(")) made.parameters = parameters(lexer);
    for (Parameter& p : made.parameters) {
      const int align = std::max(1, p.align);
      made.parameter_bytes = (made.parameter_bytes + align - 1) / align * align;
      p.offset = made.parameter_bytes;
      made.parameter_bytes += p.size;
    }
    while (!lexer.is("{") && !lexer.is(";")) {
      const Token token = lexer.take();
      const auto product = [&] {
        int64_t n = parse_integer(lexer);
        while (lexer.accept(",")) n *= parse_integer(lexer);
        return static_cast<int>(n);
      };
      if (token.text == ".maxntid")
        made.max_threads = product();
      else if (token.text == ".reqntid")
        made.required_threads = product();
      else if (token.text == ".maxnreg")
        made.max_registers = product();
      else if (token.kind == Kind::end)
        lexer.fail("a function without a body");
    }
    if (lexer.is("{")) {
      made.body_begin = lexer.peek().offset + 1;
      made.body_line = lexer.peek().line;
      made.defined = true;
      lexer.take();
      lexer.skip_braces();
      made.body_end = lexer.peek().offset;
      lexer.expect("}");
    } else {
      lexer.take();
    }
    Function& kept = module_.functions_[made.name];
    if (!kept.defined) kept = std::move(made);
  }

  /// Behind the word of its space.
  Variable variable(Lexer& lexer, std::string_view space) {
    Variable made;
    made.space = space == ".const"    ? Space::constant
                 : space == ".shared" ? Space::shared
                 : space == ".local"  ? Space::local
                 : space == ".param"  ? Space::param
                                      : Space::global;
    Type type = Type::none;
    int align = 0;
    int vector = 1;
    while (lexer.peek().text.starts_with(".")) {
      const Token token = lexer.take();
      if (token.text == ".align")
        align = static_cast<int>(parse_integer(lexer));
      else if (token.text == ".v2")
        vector = 2;
      else if (token.text == ".v4")
        vector = 4;
      else if (type_of(token.text.substr(1)) != Type::none)
        type = type_of(token.text.substr(1));
    }
    made.name = lexer.take().text;
    const int element = size_of(type);
    made.size = element * vector;
    made.align = align != 0 ? align : std::max(1, element * vector);
    while (lexer.accept("[")) {
      if (lexer.is("]"))
        made.size = 0;
      else
        made.size *= parse_integer(lexer);
      lexer.expect("]");
    }
    if (lexer.accept("=")) initial_value(lexer, made, element);
    lexer.expect(";");
    return made;
  }

  static void initial_value(Lexer& lexer, Variable& made, int element) {
    int depth = 0;
    do {
      if (lexer.accept("{"))
        ++depth;
      else if (lexer.accept("}"))
        --depth;
      else if (lexer.accept(","))
        continue;
      else if (lexer.peek().kind == Kind::word) {
        const Token name = lexer.take();
        const auto at = static_cast<int64_t>(made.bytes.size());
        if (name.text == "generic" || name.text == "mask") {
          lexer.expect("(");
          made.references.emplace_back(at, std::string(lexer.take().text));
          lexer.expect(")");
        } else {
          made.references.emplace_back(at, std::string(name.text));
        }
        made.bytes.resize(made.bytes.size() + element);
      } else {
        const bool negative = lexer.accept("-");
        bool single = false;
        bool is_double = false;
        const Token number = lexer.take();
        int64_t value = parse_number(lexer, number.text, &single, &is_double);
        if (negative) value = is_double ? value ^ INT64_MIN : -value;
        const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
        made.bytes.insert(made.bytes.end(), bytes, bytes + element);
      }
    } while (depth > 0);
  }

  // ---------------------------------------------------------------- bodies

  std::string resolve(std::string_view name) const {
    const std::string key(name);
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      const auto found = scope->find(key);
      if (found != scope->end()) return found->second;
    }
    return key;
  }

  /// The name by which the body knows a name that the current scope declares.
  std::string declare(std::string_view name) {
    std::string key(name);
    if (scopes_.size() == 1) return key;
    return scopes_.back()[key] = key + "@" + std::to_string(++scope_names_);
  }

  void statement(Lexer& lexer) {
    const Token token = lexer.peek();
    if (lexer.accept(";")) return;
    if (lexer.accept("{")) {
      scopes_.emplace_back();
      return;
    }
    if (lexer.accept("}")) {
      scopes_.pop_back();
      return;
    }
    if (token.text == ".reg") return registers(lexer);
    if (token.text == ".loc") return location(lexer);
    if (token.text == ".file") {
      lexer.take();
      return file(lexer, token.line);
    }
    if (token.text == ".pragma") {
      while (!lexer.accept(";")) lexer.take();
      return;
    }
    if (token.text == ".local" || token.text == ".shared" || token.text == ".param" ||
        token.text == ".global" || token.text == ".const") {
      lexer.take();
      Variable made = variable(lexer, token.text);
      made.name = declare(made.name);
      body_->variables.push_back(std::move(made));
      return;
    }
    if (token.kind == Kind::word && !token.text.starts_with(".") &&
        token.text.find('.') == std::string_view::npos) {
      // A label, or an instruction without modifiers.
      Lexer ahead = lexer;
      ahead.take();
      if (ahead.accept(":")) {
        lexer = ahead;
        if (lexer.is(".branchtargets") || lexer.is(".callprototype")) {
          while (!lexer.accept(";")) lexer.take();
          return;
        }
        // Labels of inner scopes (of inline assembly) may repeat.
        body_->labels.insert_or_assign(label_name(token.text, true),
                                       static_cast<int>(body_->statements.size()));
        return;
      }
    }
    instruction(lexer);
  }

  std::string label_name(std::string_view name, bool declared) {
    if (scopes_.size() == 1 || name.starts_with("$L__")) return std::string(name);
    const std::string key = ":" + std::string(name);
    if (declared) {
      const auto found = scopes_.back().find(key);
      if (found != scopes_.back().end()) return found->second;
    }
    const std::string known = resolve(key);
    if (known != key) return known;
    std::string unique = std::string(name) + "@" + std::to_string(++scope_names_);
    scopes_.back()[key] = unique;
    return unique;
  }

  void registers(Lexer& lexer) {
    lexer.take();
    Type type = Type::none;
    while (lexer.peek().text.starts_with(".")) {
      const Type seen = type_of(lexer.take().text.substr(1));
      if (seen != Type::none) type = seen;
    }
    do {
      const std::string_view name = lexer.take().text;
      if (lexer.accept("<")) {
        const int64_t count = parse_integer(lexer);
        lexer.expect(">");
        for (int64_t i = 0; i < count; ++i)
          body_->registers[declare(std::string(name) + std::to_string(i))] = type;
      } else {
        body_->registers[declare(name)] = type;
      }
    } while (lexer.accept(","));
    lexer.expect(";");
  }

  void location(Lexer& lexer) {
    const int line = lexer.take().line;
    SourceLocation made;
    made.file = static_cast<int>(parse_integer(lexer));
    made.line = static_cast<int>(parse_integer(lexer));
    parse_integer(lexer);
    while (lexer.peek().line == line && lexer.peek().kind != Kind::end) {
      const Token token = lexer.take();
      if (token.text == "inlined_at") {
        SourceLocation outer;
        outer.file = static_cast<int>(parse_integer(lexer));
        outer.line = static_cast<int>(parse_integer(lexer));
        parse_integer(lexer);
        // The chain goes on at the location that was last given for that place.
        const auto key = std::make_pair(outer.file, outer.line);
        const auto found = places_.find(key);
        made.inlined_at = found != places_.end() ? found->second : add_location(outer);
      }
    }
    if (made.line == 0) return;  // belongs to no line: keep the last one
    location_ = add_location(made);
    places_[{made.file, made.line}] = location_;
  }

  int add_location(SourceLocation made) {
    module_.locations_.push_back(made);
    return static_cast<int>(module_.locations_.size()) - 1;
  }

  Operand operand(Lexer& lexer) {
    Operand made;
    if (lexer.accept("!")) {
      made = operand(lexer);
      made.negated = true;
      return made;
    }
    if (lexer.accept("{")) {
      made.kind = Operand::Kind::vector;
      while (!lexer.accept("}")) {
        made.elements.push_back(operand(lexer));
        lexer.accept(",");
      }
      return made;
    }
    if (lexer.accept("[")) {
      made.kind = Operand::Kind::address;
      if (lexer.peek().kind == Kind::word) made.name = resolve(lexer.take().text);
      while (!lexer.accept("]")) {
        if (lexer.accept("+"))
          made.value += parse_integer(lexer);
        else if (lexer.is("-") || lexer.peek().kind == Kind::number)
          made.value += parse_integer(lexer);
        else
          lexer.fail("in an address");
      }
      return made;
    }
    if (lexer.is("-") || lexer.peek().kind == Kind::number) {
      made.kind = Operand::Kind::number;
      const bool negative = lexer.accept("-");
      const Token token = lexer.take();
      made.value = parse_number(lexer, token.text, &made.single, &made.is_double);
      if (negative) made.value = made.is_double ? made.value ^ INT64_MIN : -made.value;
      return made;
    }
    const Token token = lexer.take();
    if (token.kind != Kind::word) lexer.fail("expected an operand");
    made.name = resolve(token.text);
    made.kind = token.text.starts_with("%") || body_->registers.contains(made.name)
                    ? Operand::Kind::reg
                    : Operand::Kind::symbol;
    if (lexer.accept("+")) made.value = parse_integer(lexer);
    return made;
  }

  void instruction(Lexer& lexer) {
    Statement made;
    made.location = location_;
    if (lexer.accept("@")) {
      made.guard_negated = lexer.accept("!");
      made.guard = resolve(lexer.take().text);
    }
    const Token op = lexer.take();
    if (op.kind != Kind::word) lexer.fail("expected an instruction");
    made.line = op.line;
    for (size_t begin = 0; begin <= op.text.size();) {
      const size_t end = std::min(op.text.find('.', begin), op.text.size());
      made.parts.push_back(op.text.substr(begin, end - begin));
      begin = end + 1;
    }
    if (made.parts[0] == "call") {
      call(lexer, made);
    } else if (made.parts[0] == "bra") {
      while (!lexer.accept(";")) {
        if (lexer.accept(",")) continue;
        if (lexer.peek().text.starts_with("%")) {
          made.operands.push_back(operand(lexer));
        } else {
          Operand label;
          label.kind = Operand::Kind::symbol;
          label.name = label_name(lexer.take().text, false);
          made.operands.push_back(std::move(label));
        }
      }
    } else {
      while (!lexer.accept(";")) {
        if (lexer.accept(",") || lexer.accept("|")) continue;
        made.operands.push_back(operand(lexer));
      }
    }
    body_->statements.push_back(std::move(made));
  }

  void call(Lexer& lexer, Statement& made) {
    std::vector<Operand> list;
    const auto operands = [&](std::vector<Operand>& into) {
      lexer.expect("(");
      while (!lexer.accept(")")) {
        into.push_back(operand(lexer));
        lexer.accept(",");
      }
    };
    if (lexer.is("(")) {
      operands(list);
      made.results = static_cast<int>(list.size());
      lexer.expect(",");
    }
    Operand target;
    target.kind = Operand::Kind::symbol;
    target.name = lexer.take().text;
    made.operands.push_back(target);
    for (Operand& result : list) made.operands.push_back(std::move(result));
    if (lexer.accept(",")) {
      if (lexer.is("(")) operands(made.operands);
    }
    while (!lexer.accept(";")) lexer.take();  // the prototype of an indirect call
  }

  Module& module_;
  Body* body_ = nullptr;
  std::vector<Scope> scopes_;
  int scope_names_ = 0;
  int location_ = -1;
  bool external_ = false;
  std::map<std::pair<int, int>, int> places_;
};

Module::Module(std::string text) : text_(std::move(text)) { Parser(*this).module(); }

const Function* Module::function(std::string_view name) const {
  const auto found = functions_.find(name);
  return found == functions_.end() ? nullptr : &found->second;
}

const Body& Module::body(const Function& function) {
  auto& kept = bodies_[function.name];
  if (kept == nullptr) kept = Parser(*this).body(function);
  return *kept;
}

const Variable* Module::variable(std::string_view name) const {
  const auto found = variable_index_.find(std::string(name));
  return found == variable_index_.end() ? nullptr : &variables_[found->second];
}

std::string Module::line_text(int line) const {
  size_t begin = 0;
  for (int n = 1; n < line && begin != std::string::npos; ++n) begin = text_.find('\n', begin) + 1;
  begin = text_.find_first_not_of(" \t", begin);
  if (begin == std::string::npos) return {};
  return text_.substr(begin, text_.find('\n', begin) - begin);
}

std::string Module::source(int location) const {
  if (location < 0) return {};
  const SourceLocation& at = locations_[static_cast<size_t>(location)];
  const auto file = files_.find(at.file);
  return fmt::format("{}:{}", file == files_.end() ? fmt::format("file {}", at.file) : file->second,
                     at.line);
}

std::string Module::source_chain(int location) const {
  std::string text = source(location);
  for (int depth = 0; location >= 0 && depth < 12; ++depth) {
    location = locations_[static_cast<size_t>(location)].inlined_at;
    if (location >= 0) text += "\n      inlined at " + source(location);
  }
  return text;
}

}  // namespace derrd::ptx
