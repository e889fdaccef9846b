// Programs as people use them, none of which loses memory: whatever is called lost in them is a
// false alarm. Each is put to work, looked into while it waits, live and as a core, and put to work
// again.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "heapscan/acquire/capture.h"
#include "heapscan/analysis/analysis.h"
#include "heapscan/symbols/symbols.h"
#include "pipeline/accounting.h"
#include "pipeline/judgement.h"
#include "real/http_client.h"
#include "support/child_process.h"
#include "support/fixture_process.h"
#include "support/machine.h"
#include "support/temp_folder.h"

namespace heapscan {
namespace {

Analysis analyze_capture(Capture capture) {
  const DebugInfo debug_info = open_debug_info(capture.image, capture.files);
  Symbols symbols = load_symbols(capture.image, capture.files, debug_info);
  return analyze(std::move(capture.image), std::move(symbols), debug_info);
}

constexpr size_t kMostExplained = 12;

// What nothing certain leads to, the first of them with what does lead to them.
std::vector<std::string> unreached(const Analysis& analysis) {
  std::vector<std::string> rows;
  for (const JudgedBlock& block : judgement_of(analysis, Truth()).unreached) {
    if (rows.size() >= kMostExplained) break;
    const BlockId id = analysis.heap.block_at(block.address);
    rows.push_back(std::string(block.is_mapping ? "mapping " : "block ") +
                   std::to_string(block.size) + " B: " + name_of(block.verdict) + ", " +
                   explain(analysis, id));
  }
  return rows;
}

size_t count(const Reachability& reach, Reason reason) {
  return static_cast<size_t>(
      std::count_if(reach.possible.begin(), reach.possible.end(),
                    [reason](const PossibleBlock& block) { return block.reason == reason; }));
}

// How many possible blocks a healthy program may have; docs/real-programs.md says why each has
// them. None that is held by an unaligned or tagged word, by missing memory, or by nothing.
struct Allowed {
  size_t named_inside = 0;  // by interior pointers that nothing explains, or from weak roots
  size_t below_those = 0;   // only blocks that are possible themselves name them
};

// Pages of SQLite's cache.
constexpr Allowed kPython{3, 3};
// Slabs with compiled code are named only by pointers to operations inside them. They are known by
// their head; without it, hundreds of blocks were possible.
constexpr Allowed kPerl{3, 10};
// Named inside by the program's data: by the look of it, members of lists too short for a pattern.
constexpr Allowed kGit{5, 5};
constexpr Allowed kNginx{3, 0};

class RealProgram : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = why_no_gcore()) GTEST_SKIP() << *reason;
  }

  [[nodiscard]] ChildProcess start(
      const std::vector<std::string>& arguments,
      ChildProcess::Terminal terminal = ChildProcess::Terminal::Pipes) const {
    ChildProcess::Options options;
    options.folder = folder_ / ".";
    options.environment = {"HOME=" + (folder_ / "."), "LC_ALL=C.UTF-8",
                           "DEBUGINFOD_URLS=", "PYTHONDONTWRITEBYTECODE=1"};
    options.terminal = terminal;
    options.may_dump_core = true;
    return {arguments, options};
  }

  void expect_healthy(const Analysis& analysis, const std::string& title, const Allowed& allowed) {
    const Reachability& reach = analysis.reach;
    const size_t in_need = count(reach, Reason::ViaPossible);
    const size_t named = count(reach, Reason::Interior) + count(reach, Reason::WeakRoot);
    const size_t others = reach.possible.size() - in_need - named;
    const bool as_expected = reach.lost.empty() && named <= allowed.named_inside &&
                             in_need <= allowed.below_those && others == 0;
    RecordProperty(title + "_blocks", static_cast<int>(analysis.heap.totals.used.blocks));
    RecordProperty(title + "_possible", static_cast<int>(reach.possible.size()));
    const auto rows = as_expected ? std::vector<std::string>() : unreached(analysis);
    EXPECT_TRUE(as_expected) << title << ": " << reach.lost.size() << " lost; possible: " << named
                             << " named inside or by weak words (" << allowed.named_inside
                             << " allowed), " << in_need << " below those (" << allowed.below_those
                             << " allowed), " << others << " others\n"
                             << listing("the first", rows);
    const auto errors = accounting_errors(analysis);
    EXPECT_TRUE(errors.empty()) << listing(title + ": bytes", errors);
    const auto failed = failed_checks(analysis.heap);
    EXPECT_TRUE(failed.empty()) << listing(title + ": allocator's figures", failed);
  }

  // Looks into the waiting process `pid` live and through a gcore core. Some programs have threads
  // that still finish something behind the prompt: only a core taken between two equal looks has to
  // equal them.
  void expect_healthy(pid_t pid, const Allowed& allowed) {
    constexpr int kMostLooks = 10;
    for (int look = 0; look < kMostLooks; ++look) {
      const Analysis live = analyze_capture(capture_process(pid));
      expected_ = judgement_of(live, Truth());
      const TempFolder cores;
      const Analysis core = analyze_capture(load_core(make_gcore(pid, cores).path));
      const Analysis again = analyze_capture(capture_process(pid));
      if (!differences(*expected_, judgement_of(again, Truth())).empty()) continue;
      expect_healthy(live, "live", allowed);
      expect_same(core, "gcore", allowed);
      return;
    }
    ADD_FAILURE() << "the program did not come to rest in " << kMostLooks << " looks";
  }

  // The same through a core of the kernel's, which ends the process.
  void expect_healthy_kernel_core(ChildProcess& child, const Allowed& allowed) {
    if (why_kernel_writes_no_core()) return;  // three_doors_test says so
    expected_ = judgement_of(analyze_capture(capture_process(child.pid())), Truth());
    expect_same(analyze_capture(load_core(abort_for_core(child))), "kernel_core", allowed);
  }

  const TempFolder folder_;

 private:
  void expect_same(const Analysis& analysis, const std::string& title, const Allowed& allowed) {
    expect_healthy(analysis, title, allowed);
    const auto problems = differences(*expected_, judgement_of(analysis, Truth()));
    EXPECT_TRUE(problems.empty()) << listing("live, then " + title, problems);
  }

  std::optional<Judgement> expected_;
};

TEST_F(RealProgram, BashAtItsPrompt) {
  if (const auto why = why_no_terminal()) GTEST_SKIP() << *why;
  ChildProcess bash =
      start({"bash", "--norc", "--noprofile", "-i"}, ChildProcess::Terminal::Pseudo);
  bash.write("PS1='ready> '\n");
  bash.read_up_to("ready> ");
  bash.write(
      "declare -A squares; for i in {1..500}; do squares[key$i]=$((i * i)); done; "
      "words=({a..z}{a..z}); f() { local x=$1; echo \"${x^^}\"; }; y=$(f hello)\n");
  bash.read_up_to("ready> ");
  bash.write("set -o history; history -s one; history -s two; echo ${squares[key9]} $y\n");
  EXPECT_NE(bash.read_up_to("ready> ").find("81 HELLO"), std::string::npos);
  bash.await_sleeping();
  expect_healthy(bash.pid(), {});
  bash.write("echo $((${squares[key3]} + ${#words[@]}))\n");
  EXPECT_NE(bash.read_up_to("ready> ").find("685"), std::string::npos);
  bash.await_sleeping();
}

TEST_F(RealProgram, BashScriptInRead) {
  ChildProcess bash = start({"bash", "-c",
                             "declare -A t; for i in {1..2000}; do t[$i]=\"value $i\"; done; "
                             "list=(); for i in {1..500}; do list+=(\"$i\"); done; "
                             "echo ready; while read -r line; do echo \"got $line\"; done"});
  EXPECT_EQ(bash.read_line(), "ready");
  bash.await_reading(0);
  expect_healthy(bash.pid(), {});
  bash.write("something\n");
  EXPECT_EQ(bash.read_line(), "got something");
  bash.await_reading(0);
  expect_healthy_kernel_core(bash, {});
}

TEST_F(RealProgram, Python) {
  if (!find_program("python3")) GTEST_SKIP() << "python3 is not in PATH";
  ChildProcess python = start({"python3", "-c", R"(
import collections, decimal, json, re, sqlite3, ssl, sys, threading, xml.dom.minidom
data = {str(i): [i, str(i) * 50, {i: (i, float(i))}] for i in range(20000)}
text = json.loads(json.dumps(list(data.values())[:1000]))
counter = collections.Counter(re.findall(r'\w', 'the quick brown fox ' * 500))
base = sqlite3.connect(':memory:')
base.execute('create table t (a, b)')
base.executemany('insert into t values (?, ?)', ((i, 'x' * (i % 99)) for i in range(2000)))
context = ssl.create_default_context()
tree = xml.dom.minidom.parseString('<a><b c="d"/>text</a>')
number = decimal.Decimal(2) ** 1000
parked = threading.Event()
threading.Thread(target=parked.wait, daemon=True).start()
print('ready', flush=True)
for line in iter(sys.stdin.readline, ''):
    print('got', line.strip(), len(data), base.execute('select count(*) from t').fetchone()[0], flush=True)
)"});
  EXPECT_EQ(python.read_line(), "ready");
  python.await_reading(0);
  expect_healthy(python.pid(), kPython);
  python.write("something\n");
  EXPECT_EQ(python.read_line(), "got something 20000 2000");
  python.await_reading(0);
  expect_healthy_kernel_core(python, kPython);
}

TEST_F(RealProgram, Perl) {
  if (!find_program("perl")) GTEST_SKIP() << "perl is not in PATH";
  ChildProcess perl = start({"perl", "-e", R"(
use strict; use POSIX; use Data::Dumper; use List::Util qw(sum); use Time::HiRes;
$| = 1;
my %table = map { ("key $_" => [1 .. $_ % 20, { name => "n$_" }]) } 1 .. 5000;
my @sorted = sort { $a <=> $b } map { rand } 1 .. 5000;
my $dump = Dumper(\%table);
my @closures = map { my $n = $_; sub { $n++ } } 1 .. 100;
my %words; $words{$_}++ for split /\W+/, "the quick brown fox jumps over the lazy dog " x 100;
print "ready\n";
while (my $line = <STDIN>) { chomp $line; print "got $line ", scalar(keys %table), "\n"; }
)"});
  EXPECT_EQ(perl.read_line(), "ready");
  perl.await_reading(0);
  expect_healthy(perl.pid(), kPerl);
  perl.write("something\n");
  EXPECT_EQ(perl.read_line(), "got something 5000");
  perl.await_reading(0);
  expect_healthy_kernel_core(perl, kPerl);
}

TEST_F(RealProgram, GdbWithAProgramLoaded) {
  ChildProcess gdb = start({"gdb", "-nx", "-q", FIXTURE_SESSIONS});
  gdb.write("set pagination off\nbreak main\ninfo line main\necho ready\\n\n");
  gdb.read_up_to("ready\n");
  gdb.await_sleeping();
  expect_healthy(gdb.pid(), kPython);  // it embeds Python
  gdb.write("echo still\\n\n");
  gdb.read_up_to("still\n");
}

TEST_F(RealProgram, GitServingObjects) {
  if (!find_program("git")) GTEST_SKIP() << "git is not in PATH";
  ChildProcess::Options options;
  options.folder = folder_ / ".";
  options.environment = {"HOME=" + (folder_ / "."), "GIT_CONFIG_NOSYSTEM=1"};
  std::filesystem::create_directories(folder_ / "files");
  for (int i = 0; i < 100; ++i) {
    std::ofstream(folder_ / ("files/" + std::to_string(i))) << std::string(200, 'x') << i << '\n';
  }
  run_program({"git", "init", "-q", "-b", "main"}, options);
  run_program({"git", "add", "files"}, options);
  run_program({"git", "-c", "user.name=A", "-c", "user.email=a@b.invalid", "commit", "-q", "-m",
               "All of them"},
              options);
  run_program({"git", "gc", "-q"}, options);
  ChildProcess git = start({"git", "cat-file", "--batch-check"});
  for (int i = 0; i < 100; ++i) {
    git.write("main:files/" + std::to_string(i) + "\n");
    EXPECT_NE(git.read_line().find(" blob "), std::string::npos);
  }
  git.await_reading(0);
  expect_healthy(git.pid(), kGit);
  git.write("main\n");
  EXPECT_NE(git.read_line().find(" commit "), std::string::npos);
  git.await_reading(0);
  expect_healthy_kernel_core(git, kGit);
}

TEST_F(RealProgram, NginxMasterAndWorker) {
  if (!find_program("nginx")) GTEST_SKIP() << "nginx is not in PATH";
  if (const auto why = why_no_loopback()) GTEST_SKIP() << *why;
  const uint16_t port = free_port();
  std::filesystem::create_directories(folder_ / "pages");
  std::ofstream(folder_ / "pages/index.html") << std::string(3000, 'p');
  std::ofstream(folder_ / "nginx.conf")
      << (geteuid() == 0 ? "user root; " : "")
      << "daemon off; worker_processes 1; error_log stderr crit; pid nginx.pid;\n"
         "events { worker_connections 64; }\n"
         "http { access_log off; client_body_temp_path t1; proxy_temp_path t2;\n"
         "  fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5; keepalive_timeout 600;\n"
         "  server { listen 127.0.0.1:"
      << port << "; root pages; location /moved { return 301 /; } } }\n";
  const ChildProcess nginx = start({"nginx", "-p", folder_ / "", "-c", "nginx.conf"});
  const std::string children =
      "/proc/" + std::to_string(nginx.pid()) + "/task/" + std::to_string(nginx.pid()) + "/children";
  pid_t worker = 0;
  wait_until(
      [&] {
        const std::string text = read_text_file(children);
        worker = text.empty() ? 0 : static_cast<pid_t>(std::stoi(text));
        return worker != 0;
      },
      "nginx starts no worker");
  HttpConnection stays(port);
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(stays.get("/index.html").size(), 3000U);
    EXPECT_NE(HttpConnection(port).get("/moved").find("301"), std::string::npos);
  }
  await_sleeping(worker);
  {
    SCOPED_TRACE("worker");
    expect_healthy(worker, kNginx);
  }
  EXPECT_EQ(stays.get("/index.html").size(), 3000U);
  SCOPED_TRACE("master");
  expect_healthy(nginx.pid(), kNginx);
  EXPECT_EQ(HttpConnection(port).get("/").size(), 3000U);
}

// It brings another allocator: that has to be said, not guessed around.
TEST_F(RealProgram, RedisIsRefused) {
  if (!find_program("redis-server")) GTEST_SKIP() << "redis-server is not in PATH";
  const std::string socket = folder_ / "redis.sock";
  ChildProcess redis = start({"redis-server", "--port", "0", "--unixsocket", socket, "--save", ""});
  redis.read_up_to("ready to accept connections");
  try {
    const Analysis analysis = analyze_capture(capture_process(redis.pid()));
    ADD_FAILURE() << "analysed as " << analysis.heap.allocator << " " << analysis.heap.version;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Unsupported);
    const std::string message = error.what();
    EXPECT_NE(message.find("jemalloc"), std::string::npos) << message;
    EXPECT_NE(message.find("start or build the program without it"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace heapscan
