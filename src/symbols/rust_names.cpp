// The newer names are read as their grammar is written, one function for each of its rules, from
// left to right. A part may refer back to an earlier one, which is then read once more; so steps and
// depth are counted, and a name that takes too many is none. What is read twice for nothing (the
// place of an impl block) is read without being written.
#include "symbols/rust_names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <utility>

namespace heapscan {

namespace {

constexpr size_t kMostSteps = 4096;
constexpr size_t kDeepest = 64;
constexpr size_t kLongestName = 16 << 10;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }

// ---- the older names ----------------------------------------------------------------------------

constexpr std::array<std::pair<std::string_view, char>, 8> kEscapes = {{{"SP", '@'},
                                                                        {"BP", '*'},
                                                                        {"RF", '&'},
                                                                        {"LT", '<'},
                                                                        {"GT", '>'},
                                                                        {"LP", '('},
                                                                        {"RP", ')'},
                                                                        {"C", ','}}};

// "$LT$", "$u20$": the character between the dollar signs; NUL when it is none.
char unescaped(std::string_view code) {
  for (const auto& [text, character] : kEscapes) {
    if (code == text) return character;
  }
  unsigned value = 0;
  if (code.size() != 3 || code[0] != 'u') return '\0';
  const auto [end, error] = std::from_chars(code.data() + 1, code.data() + 3, value, 16);
  const bool is_ascii = error == std::errc() && end == code.data() + 3 && value >= 0x20;
  return is_ascii && value < 0x7f ? static_cast<char>(value) : '\0';
}

std::string unescaped_part(std::string_view part) {
  if (part.starts_with("_$")) part.remove_prefix(1);
  std::string text;
  while (!part.empty()) {
    const size_t end = part[0] == '$' ? part.find('$', 1) : std::string_view::npos;
    const char character =
        end == std::string_view::npos ? '\0' : unescaped(part.substr(1, end - 1));
    if (character != '\0') {
      text += character;
      part.remove_prefix(end + 1);
    } else if (part.starts_with("..")) {
      text += "::";
      part.remove_prefix(2);
    } else {
      text += part[0];
      part.remove_prefix(1);
    }
  }
  return text;
}

bool is_hash(std::string_view part) {
  return part.size() == 17 && part[0] == 'h' && std::all_of(part.begin() + 1, part.end(), is_hex);
}

std::optional<std::string> older_name(std::string_view text) {
  std::string name;
  while (!text.empty() && is_digit(text[0])) {
    size_t length = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    if (error != std::errc() || length == 0 || length >= text.size()) return std::nullopt;
    const std::string_view part = text.substr(0, length);
    text.remove_prefix(length);
    // What LLVM appends to copies begins with a dot.
    const bool is_last = text == "E" || text.starts_with("E.");
    if (is_last && is_hash(part) && !name.empty()) return name;
    name += (name.empty() ? "" : "::") + unescaped_part(part);
  }
  return std::nullopt;
}

// ---- the newer ones -----------------------------------------------------------------------------

std::string_view basic_type(char tag) {
  constexpr std::array<std::string_view, 26> kTypes = {
      "i8",    "bool", "char", "f64", "str",  "f32",  "",    "u8", "isize",
      "usize", "",     "i32",  "u32", "i128", "u128", "_",   "",   "",
      "i16",   "u16",  "()",   "...", "",     "i64",  "u64", "!"};
  return tag >= 'a' && tag <= 'z' ? kTypes[static_cast<size_t>(tag - 'a')] : "";
}

class NewerName {
 public:
  explicit NewerName(std::string_view text) : text_(text) {}

  std::optional<std::string> read() {
    path(true);
    if (failed_ || out_.empty()) return std::nullopt;
    return std::move(out_);
  }

 private:
  // Counts a rule that is entered; false once it is too much.
  class Step {
   public:
    explicit Step(NewerName& name) : name_(name) {
      ++name.depth_;
      if (++name.steps_ > kMostSteps || name.depth_ > kDeepest || name.out_.size() > kLongestName)
        name.failed_ = true;
    }
    ~Step() { --name_.depth_; }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;

   private:
    NewerName& name_;
  };

  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  char next() {
    if (at_ >= text_.size()) failed_ = true;
    return failed_ ? '\0' : text_[at_++];
  }
  bool take(char c) {
    if (failed_ || peek() != c) return false;
    ++at_;
    return true;
  }
  void write(std::string_view text) {
    if (quiet_ == 0 && !failed_) out_ += text;
  }

  // "_" is 0, "0_" is 1.
  uint64_t base_62() {
    uint64_t value = 0;
    if (take('_')) return 0;
    while (!failed_ && !take('_')) {
      const char c = next();
      uint64_t digit = 0;
      if (is_digit(c)) {
        digit = static_cast<uint64_t>(c - '0');
      } else if (c >= 'a' && c <= 'z') {
        digit = static_cast<uint64_t>(c - 'a') + 10;
      } else if (c >= 'A' && c <= 'Z') {
        digit = static_cast<uint64_t>(c - 'A') + 36;
      } else {
        failed_ = true;
      }
      if (value > UINT64_MAX / 62 - 1) failed_ = true;
      value = value * 62 + digit;
    }
    return value + 1;
  }
  uint64_t disambiguator() { return take('s') ? base_62() + 1 : 0; }

  std::string_view identifier() {
    take('u');  // encoded as in domain names; shown as it is
    uint64_t length = 0;
    if (!is_digit(peek())) failed_ = true;
    if (!take('0')) {
      while (is_digit(peek()) && length <= text_.size())
        length = length * 10 + static_cast<uint64_t>(next() - '0');
    }
    take('_');
    if (failed_ || length > text_.size() - at_) {
      failed_ = true;
      return {};
    }
    const std::string_view name = text_.substr(at_, length);
    at_ += length;
    return name;
  }

  template <typename F>
  void back_reference(F&& read) {
    const size_t here = at_ - 1;
    const uint64_t target = base_62();
    if (failed_ || target >= here) {
      failed_ = true;
      return;
    }
    const size_t after = std::exchange(at_, target);
    read();
    at_ = after;
  }

  // `in_value`: of a function or variable, where generic arguments stand behind "::".
  void path(bool in_value) {
    const Step step(*this);
    if (failed_) return;
    switch (next()) {
      case 'C':
        disambiguator();
        write(identifier());
        return;
      case 'M':
        impl_place();
        return in_brackets();
      case 'X':
        impl_place();
        return in_brackets_as_trait();
      case 'Y':
        return in_brackets_as_trait();
      case 'N':
        return nested(in_value);
      case 'I':
        path(in_value);
        write(in_value ? "::<" : "<");
        list([&] { generic_argument(); });
        return write(">");
      case 'B':
        return back_reference([&] { path(in_value); });
      default:
        failed_ = true;
    }
  }
  void impl_place() {
    ++quiet_;
    disambiguator();
    path(false);
    --quiet_;
  }
  void in_brackets() {
    write("<");
    type();
    write(">");
  }
  void in_brackets_as_trait() {
    write("<");
    type();
    write(" as ");
    path(false);
    write(">");
  }
  void nested(bool in_value) {
    const char space = next();
    path(in_value);
    const uint64_t number = disambiguator();
    const std::string_view name = identifier();
    if (space >= 'A' && space <= 'Z') {
      write("::{");
      write(space == 'C' ? "closure" : space == 'S' ? "shim" : std::string_view(&space, 1));
      if (!name.empty()) write(":");
      write(name);
      write("#" + std::to_string(number) + "}");
    } else if (!name.empty()) {
      write("::");
      write(name);
    }
  }

  // Until E, with commas between.
  template <typename F>
  size_t list(F&& read) {
    size_t count = 0;
    for (; !failed_ && !take('E'); ++count) {
      if (count > 0) write(", ");
      read();
    }
    return count;
  }

  void generic_argument() {
    if (take('L')) {
      base_62();
      write("'_");
    } else if (take('K')) {
      constant();
    } else {
      type();
    }
  }

  void type() {
    const Step step(*this);
    if (failed_) return;
    const char tag = next();
    if (const std::string_view basic = basic_type(tag); !basic.empty()) return write(basic);
    switch (tag) {
      case 'A':
        write("[");
        type();
        write("; ");
        constant();
        return write("]");
      case 'S':
        write("[");
        type();
        return write("]");
      case 'T': {
        write("(");
        const size_t count = list([&] { type(); });
        return write(count == 1 ? ",)" : ")");
      }
      case 'R':
      case 'Q':
        if (take('L')) base_62();
        write(tag == 'R' ? "&" : "&mut ");
        return type();
      case 'P':
        write("*const ");
        return type();
      case 'O':
        write("*mut ");
        return type();
      case 'F':
        return function();
      case 'D':
        return dynamic();
      case 'B':
        return back_reference([&] { type(); });
      default:
        --at_;
        path(false);
    }
  }

  void function() {
    if (take('G')) base_62();
    if (take('U')) write("unsafe ");
    if (take('K')) {
      write("extern \"");
      write(take('C') ? std::string_view("C") : identifier());
      write("\" ");
    }
    write("fn(");
    list([&] { type(); });
    write(")");
    if (take('u')) return;
    write(" -> ");
    type();
  }

  void dynamic() {
    write("dyn ");
    if (take('G')) base_62();
    for (size_t count = 0; !failed_ && !take('E'); ++count) {
      if (count > 0) write(" + ");
      path(false);
      while (take('p')) assigned_type();
    }
    if (!take('L')) failed_ = true;
    base_62();
  }

  // Stands among the arguments of the trait, if that has any.
  void assigned_type() {
    if (quiet_ == 0 && out_.ends_with('>')) {
      out_.pop_back();
      write(", ");
    } else {
      write("<");
    }
    write(identifier());
    write(" = ");
    type();
    write(">");
  }

  // Numbers, truth values and characters; others have rules of their own, which are not known here.
  void constant() {
    const Step step(*this);
    if (failed_) return;
    if (take('B')) return back_reference([&] { constant(); });
    if (take('p')) return write("_");
    const char tag = next();
    const bool is_known = tag != 'e' && tag != 'u' && tag != 'v' && !basic_type(tag).empty();
    const bool is_negative = is_known && take('n');
    const size_t begin = at_;
    while (is_hex(peek())) ++at_;
    const std::string_view digits = text_.substr(begin, at_ - begin);
    if (!is_known || !take('_')) {
      failed_ = true;
      return;
    }
    write(is_negative ? "-" : "");
    write(spelled_number(tag, digits));
  }
  static std::string spelled_number(char tag, std::string_view digits) {
    uint64_t value = 0;
    if (digits.size() > 16) return "0x" + std::string(digits);
    std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (tag == 'b') return value == 0 ? "false" : "true";
    const bool is_letter = tag == 'c' && value > 0x20 && value < 0x7f;
    return is_letter ? std::string{'\'', static_cast<char>(value), '\''} : std::to_string(value);
  }

  std::string_view text_;  // behind _R: what references count from
  size_t at_ = 0;
  std::string out_;
  size_t quiet_ = 0;
  size_t depth_ = 0;
  size_t steps_ = 0;
  bool failed_ = false;
};

}  // namespace

std::optional<std::string> rust_name(std::string_view mangled) {
  if (mangled.starts_with("_R")) return NewerName(mangled.substr(2, mangled.find('.') - 2)).read();
  return mangled.starts_with("_ZN") ? older_name(mangled.substr(3)) : std::nullopt;
}

}  // namespace heapscan
