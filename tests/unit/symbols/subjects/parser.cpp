// The C++ subject: what its types and variables are, debug_info_test.cpp says.
namespace text {

struct Node {
  virtual ~Node() = default;
  long line = 0;
};

template <typename T, int N>
struct Pool {
  T items[N];
  Pool* next = nullptr;
};

class Parser : public Node {
 public:
  struct Token {
    char kind;
    Token* next;
  };
  static Parser* first;
  int count();

 private:
  Token* tokens_ = nullptr;
  Pool<Token, 4>* pool_ = nullptr;
  Token& (*visit_)(Token&) = nullptr;
  long Node::*member_ = nullptr;
};

Parser* Parser::first;

namespace {
struct Hidden {
  long value;
};
Hidden hidden;
}  // namespace

int Parser::count() {
  static int calls;
  struct Local {
    short value;
  };
  static Local local;
  hidden.value += local.value++;
  return ++calls;
}

}  // namespace text

text::Parser parser;
text::Pool<text::Parser::Token, 4> pool;

extern "C" int parse() { return parser.count(); }
