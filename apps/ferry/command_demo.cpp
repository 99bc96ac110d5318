// `ferry demo`: the lines of a real file through every transport, there and back.
#include <ferry/context.hpp>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <utility>
#include <vector>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/demo_browser.hpp"
#include "apps/ferry/demo_row.hpp"
#include "apps/ferry/demo_services.hpp"
#include "apps/ferry/demo_text.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/workplace.hpp"
#include "bench/table.hpp"
#include "bench/tls_line.hpp"

namespace ferry::app {
namespace {

constexpr const char* k_examples =
    "  ferry demo                       a text of 20 MB, made from files of this machine\n"
    "  ferry demo --size 200\n"
    "  ferry demo --file /var/log/syslog\n"
    "  ferry demo --browser             a page that talks to a service in C++, through a gateway\n"
    "\nEach line is a message. It goes to another process (inproc: to the other end in this one), comes back, and is\n"
    "checked at both ends: number, order and content. Then one message at a time gives the round trip. In the rows "
    "with\n"
    "a persistent session the other process is killed in the middle, and started again; in the row sidecar the other "
    "one\n"
    "is a service behind ferry sidecar, of which another instance takes the place in the middle. The exit status is 0\n"
    "only if every row is perfect.";

constexpr const char* k_about_persistent =
    "\npersistent: exactly once, though the other process was killed (kill -9) in the middle and started again\n";

struct demo_flags {
  std::string file;
  std::uint64_t megabytes = 20;
  bool browser = false;
};

std::vector<std::string> all_schemes() {
  boost::asio::io_context io;
  return context(io).schemes();
}

std::string table_of(const std::vector<demo_row>& rows, const demo_text& text) {
  using bench::alignment;
  std::vector<alignment> columns(8, alignment::right);
  columns.front() = columns.back() = alignment::left;
  bench::text_table table({"transport", "messages", "MB/s", "round trip p50", "p99", "lost", "duplicated", "checksum"},
                          columns);
  for (const auto& row : rows) {
    const auto& found = row.figures;
    const double seconds = static_cast<double>(found.elapsed_ns) / 1e9;
    const double megabytes = static_cast<double>(text.bytes_with_newlines()) / 1e6;
    table.add({row.name, std::to_string(found.back), seconds == 0 ? "-" : bench::fixed(megabytes / seconds, 0),
               found.rtt.count() == 0 ? "-" : bench::nanoseconds_text(found.rtt.quantile(0.5)),
               found.rtt.count() == 0 ? "-" : bench::nanoseconds_text(found.rtt.quantile(0.99)),
               std::to_string(row.lost()), std::to_string(row.duplicated()),
               row.checksum_equal(text) ? "equal" : "DIFFERS"});
  }
  return table.text();
}

int move_lines(const demo_flags& flags, const std::string& directory) {
  const auto path = flags.file.empty() ? directory + "/text" : flags.file;
  if (flags.file.empty())
    if (const auto made = make_demo_text(path, flags.megabytes * 1'000'000); !made) return complain(made.error());
  const auto text = demo_text::open(path, options().max_message);
  if (!text && !flags.file.empty()) return complain({errc::bad_option, "--file: " + text.error().text()});
  if (!text) return complain(text.error());

  const std::string source = flags.file.empty() ? "a text made from files of this machine" : flags.file;
  const int begun =
      print("The lines of " + source + " (" + bench::fixed(static_cast<double>(text->bytes_with_newlines()) / 1e6, 1) +
            " MB, " + std::to_string(text->lines()) + " lines), there and back:\n\n");
  if (begun != k_ok) return begun;

  std::vector<demo_row> rows;
  for (const auto& scheme : all_schemes())
    if (scheme != "tls" || bench::tls_line::available()) rows.push_back(run_demo_row(scheme, *text, directory));
  for (const char* scheme : {"shm", "tcp"}) rows.push_back(run_persistent_demo_row(scheme, *text, directory));
  if (auto services = run_services_demo_row(*text, directory)) rows.push_back(std::move(*services));
  const bool perfect = std::all_of(rows.begin(), rows.end(), [&](const demo_row& row) { return row.perfect(*text); });
  std::string about = k_about_persistent;
  for (const auto& row : rows)
    if (!row.about.empty()) about += row.name + ": " + row.about + "\n";
  const int printed = print(table_of(rows, *text) + about);
  for (const auto& row : rows)
    if (!row.failure.empty()) say(row.name + ": " + row.failure);
  return perfect ? printed : k_failed;
}

int demo(const demo_flags& flags) {
  return told_of(in_own_directory([&](const std::string& directory) {
    return flags.browser ? complain(run_browser_demo(directory)) : move_lines(flags, directory);
  }));
}

}  // namespace

void add_demo(command_line app, int& exit_code) {
  const auto flags = std::make_shared<demo_flags>();
  const command_line command =
      app.add_command("demo", "Move the lines of a real file through every transport and check them", k_examples);
  const flag file = command.add_option("--file", flags->file, "A text of your own; it is only read").type_name("FILE");
  const flag size = add_whole(command, "--size", flags->megabytes, option_unit::count, 1,
                              "Megabytes of the text that is made (20)", 10'000)
                        .excludes(file);
  command
      .add_flag("--browser", flags->browser,
                "Instead: a page at a free port of this host, a gateway, and a service in shared memory, until Ctrl-C")
      .excludes(file)
      .excludes(size);
  command.callback([flags, &exit_code] { exit_code = demo(*flags); });
}

}  // namespace ferry::app
