#include <fcntl.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <tuple>

#include "apps/ferry/old_copy.hpp"
#include "apps/ferry/program_under_test.hpp"
#include "os/session_store.hpp"

namespace {

using namespace ferry::app::test;
using ferry::test::temp_dir;

class session_command : public ::testing::Test {
 protected:
  [[nodiscard]] std::unique_ptr<ferry::os::session_store> open(const std::string& peer) const {
    ferry::os::session_store::settings small;
    small.ring_bytes = 4096;
    return ferry::os::session_store::open(dir.path(), {"alice", peer}, small).value();
  }
  // A session that has sent two messages and keeps a state.
  void make(const std::string& peer) const {
    const auto store = open(peer);
    for (const char* text : {"one", "two"})
      ASSERT_TRUE(store->session().send({ferry::as_bytes(std::string_view(text)), ferry::message_kind::text, 0}));
    store->session().set_state(ferry::as_bytes("state"));
    store->session().commit();
  }
  [[nodiscard]] outcome session(arguments words) const {
    words.insert(words.begin(), "session");
    words.insert(words.end(), {"--dir", dir.path()});
    return run_ferry(words);
  }
  [[nodiscard]] boost::json::object shown(const std::string& peer) const {
    const auto seen = session({"show", "--as", "alice", "--peer", peer, "--json"});
    boost::system::error_code wrong;
    auto value = boost::json::parse(seen.out, wrong);
    EXPECT_FALSE(wrong) << seen.out << seen.err;
    return wrong ? boost::json::object{} : value.as_object();
  }

  temp_dir dir;
};

TEST_F(session_command, lists_all_sessions_in_lines_that_line_up) {
  make("bob");
  const auto unknown = open("");
  ASSERT_TRUE(unknown->name_peer("carol"));
  unknown->note_mismatch({{1, 2, 3}, {4, 5, 6}});
  std::filesystem::resize_file(dir.file("alice~bob.session"), 7);
  const auto lines = lines_of(session({"list"}).out);
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[0], "as     peer   kind   consumed  acknowledged  sent  waiting  bytes  ring  state");
  EXPECT_EQ(lines[1], "alice  carol  ferry         0             0     0        0      0  4KiB  in use");
  EXPECT_EQ(lines[2].substr(0, 12), "alice  bob  ");
  EXPECT_TRUE(lines[2].ends_with("  damaged"));
  EXPECT_TRUE(lines[3].starts_with("alice with carol does not fit: at 20")) << lines[3];
  EXPECT_TRUE(lines[3].ends_with(" UTC this side: wants 1, has 2 .. 3; the other one: wants 4, has 5 .. 6"));
  EXPECT_TRUE(lines[4].starts_with("alice with bob: " + dir.file("alice~bob.session"))) << lines[4];
}

TEST_F(session_command, shows_one_session_for_people_and_for_programs) {
  make("bob");
  const auto seen = session({"show"});
  EXPECT_EQ(seen.status, 0);
  for (const char* line : {"alice with bob\n", "\nstate     no process has it\n",
                           "\nsent      everything before message 2; acknowledged before 0\n",
                           "\nkept      5 bytes of the application's state\n"})
    EXPECT_NE(seen.out.find(line), std::string::npos) << seen.out;
  const auto object = shown("bob");
  EXPECT_EQ(object.at("as"), "alice");
  EXPECT_EQ(object.at("peer"), "bob");
  EXPECT_EQ(object.at("consumed"), 0);
  EXPECT_EQ(object.at("acknowledged"), 0);
  EXPECT_EQ(object.at("sent"), 2);
  EXPECT_EQ(object.at("waiting"), 2);
  EXPECT_EQ(object.at("state_bytes"), 5);
  EXPECT_FALSE(object.at("in_use").as_bool());
  EXPECT_TRUE(object.at("damage").is_null() && object.at("mismatch").is_null());
  boost::json::value all = boost::json::parse(session({"list", "--json"}).out);
  EXPECT_EQ(all.as_array().size(), 1u);
  EXPECT_EQ(all.as_array()[0].at("sent"), 2);
}

TEST_F(session_command, fails_for_a_damaged_session_and_says_why) {
  make("bob");
  std::filesystem::remove(dir.file("alice~bob.ring"));
  const auto seen = session({"show"});
  EXPECT_EQ(seen.status, 1);
  EXPECT_NE(seen.out.find("\ndamaged   "), std::string::npos) << seen.out;
  EXPECT_EQ(session({"skip", "1", "--yes"}).status, 1);
  const auto reset = session({"reset", "--yes"});
  EXPECT_EQ(reset.status, 0);
  EXPECT_NE(reset.err.find("removed with whatever they hold"), std::string::npos) << reset.err;
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST_F(session_command, asks_which_session_is_meant_and_knows_what_was_probably_meant) {
  make("bob");
  make("carol");
  make("");
  { ASSERT_TRUE(open("")->name_peer("dave")); }
  const auto refused = [&](const arguments& words, int status, const std::string& said) {
    const auto got = session(words);
    EXPECT_EQ(got.status, status) << got.err;
    EXPECT_NE(got.err.find(said), std::string::npos) << got.err;
    EXPECT_EQ(got.out, "");
  };
  refused({"show"}, 2,
          "which one is meant: alice with dave, alice with bob, alice with carol? Say so with --as, --peer");
  refused({"show", "--as", "alcie"}, 1, "no session of alcie in " + dir.path().string() + ", did you mean 'alice'?");
  refused({"show", "--peer", "bobb"}, 1, "no session with bobb in " + dir.path().string() + ", did you mean 'bob'?");
  refused({"reset", "--peer", "eve", "--yes"}, 1, "There are: alice with dave, alice with bob, alice with carol");
  refused({"lst"}, 2, "unknown command 'lst', did you mean 'list'?");
  refused({"reset", "--yse"}, 2, "unknown option '--yse', did you mean '--yes'?");
  refused({"skip", "--peer", "bob"}, 2, "N is required");
  refused({"skip", "0", "--peer", "bob"}, 2, "must be a whole number (1000, 10k) of at least 1");
  refused({"accept-remote", "--remote", "1,2", "--peer", "bob"}, 2, "CONSUMED,ACKNOWLEDGED,SENT");
  EXPECT_EQ(shown("dave").at("expected_peer"), "") << "whom it has met";
  EXPECT_EQ(shown("").at("peer"), "dave") << "whom it was told to expect";
}

TEST_F(session_command, mends_only_after_a_yes_and_says_what_it_costs) {
  make("bob");
  const std::string costs = "2 unacknowledged messages are discarded, 5 bytes of state are discarded";
  const auto asked = session({"reset"});
  EXPECT_EQ(asked.status, 2);
  EXPECT_EQ(asked.err, "ferry: reset alice with bob: " + costs + ". Nothing was changed: say --yes\n");
  EXPECT_EQ(shown("bob").at("sent"), 2);
  const auto done = session({"reset", "--yes"});
  EXPECT_EQ(done.status, 0);
  EXPECT_EQ(done.err, "ferry: reset alice with bob: " + costs +
                          ". It goes on with message 0 of the other side, and has 0 .. 0 of its own\n");
  EXPECT_EQ(shown("bob").at("sent"), 0);
}

TEST_F(session_command, asks_who_sits_at_a_terminal) {
  make("bob");
  for (const bool agrees : {false, true}) {
    const ferry::os::unique_fd terminal(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(terminal && ::grantpt(terminal.get()) == 0 && ::unlockpt(terminal.get()) == 0);
    const ferry::os::unique_fd user(::open(::ptsname(terminal.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(user);
    ferry::test::child_options with;
    with.descriptors = {user.get()};
    arguments call{"/bin/sh", "-c", "exec \"$@\" <&3", "sh"};
    const auto program = ferry_call({"session", "reset", "--dir", dir.path()});
    call.insert(call.end(), program.begin(), program.end());
    ferry::test::child asked(call, with);
    const std::string said = agrees ? "y\n" : "\n";
    ASSERT_EQ(::write(terminal.get(), said.data(), said.size()), static_cast<ssize_t>(said.size()));
    EXPECT_EQ(asked.finish(), agrees ? 0 : 1);
    EXPECT_NE(asked.error_output().find("5 bytes of state are discarded. Go on? [y/N] "), std::string::npos)
        << asked.error_output();
    EXPECT_EQ(shown("bob").at("sent"), agrees ? 0 : 2);
  }
}

TEST_F(session_command, skips_and_accepts_numbers) {
  make("bob");
  EXPECT_EQ(session({"skip", "3", "--yes"}).status, 0);
  EXPECT_EQ(shown("bob").at("consumed"), 3);
  EXPECT_EQ(shown("bob").at("sent"), 2);
  const auto unknown = session({"accept-remote", "--yes"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_NE(unknown.err.find("tell the numbers"), std::string::npos) << unknown.err;
  const auto told = session({"accept-remote", "--remote", "1,4,6", "--yes"});
  EXPECT_EQ(told.status, 0) << told.err;
  EXPECT_NE(told.err.find("1 message of the other side is skipped"), std::string::npos) << told.err;
  EXPECT_EQ(shown("bob").at("consumed"), 4);
  { open("bob")->note_mismatch({{4, 0, 2}, {9, 8, 9}}); }
  EXPECT_EQ(session({"accept-remote", "--yes"}).status, 0);
  EXPECT_EQ(shown("bob").at("consumed"), 8);
  EXPECT_EQ(shown("bob").at("acknowledged"), 9);
  EXPECT_TRUE(shown("bob").at("mismatch").is_null());
}

TEST_F(session_command, accepts_what_the_other_side_told_at_a_login_that_did_not_fit) {
  const auto at = [&](const std::string& as) {
    return "ipc://" + dir.file("socket") + "?session=persistent&as=" + as + "&dir=" + dir.file(as);
  };
  for (const char* side : {"alice", "bob"}) std::filesystem::create_directory(dir.path() / side);
  listening_program bob(ferry_call({"listen", at("bob"), "--echo"}));
  expect_that_an_old_copy_is_mended(dir, bob, at("alice"),
                                    "this side: wants 1, has 1 .. 2; the other one: wants 2, has 2 .. 2");
}

TEST_F(session_command, leaves_a_session_alone_that_a_process_has) {
  const auto store = open("bob");
  for (const arguments& words :
       {arguments{"reset", "--yes"}, {"skip", "1", "--yes"}, {"accept-remote", "--remote", "0,0,0"}}) {
    const auto got = session(words);
    EXPECT_EQ(got.status, 1);
    EXPECT_NE(got.err.find(dir.file("alice~bob.ring") + " is in use"), std::string::npos) << got.err;
  }
  EXPECT_TRUE(shown("bob").at("in_use").as_bool());
}

TEST_F(session_command, finds_the_directory_as_the_channels_do) {
  make("bob");
  ferry::test::child_options with;
  with.environment = {"STATE_DIRECTORY=" + dir.path().string()};
  EXPECT_EQ(lines_of(run_ferry({"session", "list"}, "", with).out).size(), 2u);
  with.environment = {"STATE_DIRECTORY=" + dir.file("none")};
  const auto none = run_ferry({"session", "list"}, "", with);
  EXPECT_EQ(none.status, 1);
  EXPECT_NE(none.err.find("there is no session here (which directory: --dir)"), std::string::npos) << none.err;
}

TEST_F(session_command, inspect_shows_a_session_under_any_name_of_its_files) {
  make("bob");
  for (const char* name : {"alice~bob.session", "alice~bob.ring", "alice~bob.mismatch", "alice~bob.session.spare"}) {
    const auto seen = run_ferry({"inspect", dir.file(name)});
    EXPECT_EQ(seen.status, 0) << seen.err;
    EXPECT_NE(seen.out.find("alice with bob\n"), std::string::npos) << seen.out;
    EXPECT_NE(seen.out.find("\nwaiting   2 messages, "), std::string::npos) << seen.out;
    EXPECT_NE(seen.out.find("\nring  written"), std::string::npos) << seen.out;
    EXPECT_TRUE(
        seen.out.ends_with("\nmessage  kind  type  bytes\n"
                           "      0  text     0      3\n"
                           "      1  text     0      3\n"))
        << seen.out;
    const auto object = boost::json::parse(run_ferry({"inspect", dir.file(name), "--json"}).out);
    EXPECT_EQ(object.at("session").at("sent"), 2);
    EXPECT_EQ(boost::json::serialize(object.at("messages").as_array().at(1)),
              R"({"number":1,"kind":"text","type":0,"bytes":3})");
    EXPECT_EQ(object.at("directions").as_array().at(0).at("rings").as_array().at(0).at("unread_records"), 2);
  }
  std::filesystem::resize_file(dir.file("alice~bob.session"), 7);
  EXPECT_EQ(run_ferry({"inspect", dir.file("alice~bob.session")}).status, 1);
}

TEST_F(session_command, inspect_names_a_file_that_was_named_without_a_slash) {
  make("bob");
  const std::string here = std::filesystem::current_path();
  std::filesystem::current_path(dir.path());
  const auto seen = run_ferry({"inspect", "alice~bob.session"});
  std::filesystem::current_path(here);
  EXPECT_EQ(seen.status, 1);
  EXPECT_NE(seen.err.find("the file of that name is ./alice~bob.session"), std::string::npos) << seen.err;
}

TEST_F(session_command, inspect_shows_the_oldest_messages_that_wait_in_a_session_with_kind_type_and_size) {
  {
    const auto store = open("bob");
    for (std::size_t i = 0; i < 20; ++i) {
      const std::string text(i, 'x');
      ASSERT_TRUE(
          store->session().send({ferry::as_bytes(text), ferry::message_kind::binary, static_cast<std::uint16_t>(i)}));
    }
    store->session().commit();
  }
  const auto seen = run_ferry({"inspect", dir.file("alice~bob.session")});
  EXPECT_NE(seen.out.find("\nmessage  kind    type  bytes\n      0  binary     0      0\n"), std::string::npos)
      << seen.out;
  EXPECT_TRUE(seen.out.ends_with("\n     15  binary    15     15\nand 4 more\n")) << seen.out;
}

}  // namespace
