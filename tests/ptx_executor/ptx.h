#pragma once

// PTX as text becomes statements: names resolved to their scopes, nothing executed yet.

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace derrd::ptx {

/// The PTX cannot be read or uses what the executor does not know; the message names the line.
class PtxError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class Type : uint8_t {
  none,
  pred,
  b8,
  b16,
  b32,
  b64,
  u8,
  u16,
  u32,
  u64,
  s8,
  s16,
  s32,
  s64,
  f32,
  f64
};
Type type_of(std::string_view name);  ///< Type::none if it is no type
int size_of(Type type);               ///< bytes; 0 for pred and none
bool is_signed(Type type);
bool is_float(Type type);

enum class Space : uint8_t { generic, global, constant, shared, local, param };

struct Operand {
  enum class Kind : uint8_t { reg, number, symbol, vector, address };
  Kind kind = Kind::reg;
  bool negated = false;           ///< !%p
  bool single = false;            ///< number: was written as 0f........
  bool is_double = false;         ///< number: was written as 0d................
  std::string name;               ///< reg, symbol, base of an address (empty: absolute)
  int64_t value = 0;              ///< number; displacement of an address
  std::vector<Operand> elements;  ///< vector
};

/// `@guard op.parts operands;`
struct Statement {
  std::vector<std::string_view> parts;  ///< "setp", "lt", "s32"
  std::vector<Operand> operands;  ///< in the order of the text; `a|b` and call lists are flattened
  int results = 0;                ///< call: how many operands are results
  std::string guard;
  bool guard_negated = false;
  int line = 0;       ///< of the PTX
  int location = -1;  ///< index into Module::locations

  bool has(std::string_view part) const;
};

struct SourceLocation {
  int file = 0;
  int line = 0;
  int inlined_at = -1;  ///< another location's index
};

struct Variable {
  std::string name;
  Space space = Space::global;
  int64_t size = 0;
  int align = 1;
  bool external = false;
  std::vector<uint8_t> bytes;  ///< initial value; shorter than size: zeros follow
  std::vector<std::pair<int64_t, std::string>>
      references;  ///< addresses of other symbols in the initial value
};

struct Parameter {
  std::string name;
  int size = 0;
  int align = 1;
  int offset = 0;  ///< in the parameter block of a kernel
};

struct Body {
  std::vector<Statement> statements;
  std::unordered_map<std::string, int> labels;  ///< statement index
  std::unordered_map<std::string, Type> registers;
  std::vector<Variable> variables;  ///< .local, .shared and .param of the body
};

struct Function {
  std::string name;
  bool entry = false;
  bool defined = false;
  std::vector<Parameter> parameters;
  std::vector<Parameter> results;
  int parameter_bytes = 0;
  int max_threads = 0;       ///< .maxntid, 0: not given
  int required_threads = 0;  ///< .reqntid
  int max_registers = 0;     ///< .maxnreg
  size_t body_begin = 0;     ///< in the module's text
  size_t body_end = 0;
  int body_line = 0;
};

/// One PTX text. Function bodies are parsed when they are first asked for.
class Module {
 public:
  explicit Module(std::string text);

  const std::string& text() const { return text_; }
  int target() const { return target_; }  ///< 90 for .target sm_90
  const Function* function(std::string_view name) const;
  const Body& body(const Function& function);
  const std::vector<Variable>& variables() const { return variables_; }
  const Variable* variable(std::string_view name) const;
  const std::map<std::string, Function, std::less<>>& functions() const { return functions_; }
  /// A line of the text, without the space around it.
  std::string line_text(int line) const;
  /// "file:line", or an empty text where the PTX has no line information.
  std::string source(int location) const;
  /// source() with the chain of calls that were inlined.
  std::string source_chain(int location) const;

 private:
  friend class Parser;
  std::string text_;
  int target_ = 0;
  std::map<std::string, Function, std::less<>> functions_;
  std::vector<Variable> variables_;
  std::unordered_map<std::string, size_t> variable_index_;
  std::map<int, std::string> files_;
  std::vector<SourceLocation> locations_;
  std::unordered_map<std::string, std::unique_ptr<Body>> bodies_;
};

}  // namespace derrd::ptx
