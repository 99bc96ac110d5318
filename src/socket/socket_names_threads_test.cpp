// Looking a name up may take as long as a name server likes, and nobody but who asked for it waits. In this program the
// names of the domain "held.invalid" are known when a test says so, and then they are this host.
#include <ferry/socket.hpp>

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include <condition_variable>
#include <future>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "testing/socket_world.hpp"

namespace ferry::test {
namespace {

/// The name server of the domain.
class held_names {
 public:
  void answer() {
    const std::lock_guard lock(mutex_);
    answers_ = true;
    changed_.notify_all();
  }
  /// @return false: nobody has let it go for half a minute
  bool wait() {
    std::unique_lock lock(mutex_);
    ++asked_;
    changed_.notify_all();
    return changed_.wait_for(lock, 30s, [this] { return answers_; });
  }
  [[nodiscard]] bool asked(int times) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 60s, [&] { return asked_ >= times; });
  }
  [[nodiscard]] bool answers() {
    const std::lock_guard lock(mutex_);
    return answers_;
  }
  [[nodiscard]] int times() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    answers_ = false;
    asked_ = 0;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool answers_ = false;
  int asked_ = 0;
};

held_names& names() {
  static held_names all;
  return all;
}

}  // namespace
}  // namespace ferry::test

extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints, addrinfo** found) {
  using function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto real = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  if (host == nullptr || !std::string_view(host).ends_with("held.invalid")) return real(host, service, hints, found);
  return ferry::test::names().wait() ? real("127.0.0.1", service, hints, found) : EAI_AGAIN;
}

namespace ferry::test {
namespace {

class sockets_with_names : public ::testing::TestWithParam<socket_transport>, public socket_world {
 protected:
  sockets_with_names() : socket_world(GetParam()) { names().forget(); }
  ~sockets_with_names() override { names().answer(); }

  [[nodiscard]] socket_address by_name() {
    auto at = where();
    at.host = "one.held.invalid";
    at.family = address_family::unspecified;
    return at;
  }
  [[nodiscard]] socket_id bound_by_name() {
    auto at = address();
    at.host = "one.held.invalid";
    at.family = address_family::unspecified;
    const auto one = made();
    EXPECT_TRUE(api.bind(one, at));
    return one;
  }
};
INSTANTIATE_TEST_SUITE_P(with_ports, sockets_with_names,
                         ::testing::Values(socket_transport::tcp, socket_transport::tls, socket_transport::ws,
                                           socket_transport::raw_ws),
                         [](const auto& one) { return name_of(one.param); });

TEST_P(sockets_with_names, do_not_wait_for_the_look_up_where_they_do_not_wait_and_others_go_on) {
  ASSERT_NO_FATAL_FAILURE(join());
  const auto one = made();
  set(one, "nonBlocking", "on");
  set(one, "connectTimeout", "1m");
  if (is_encrypted()) set(one, "servername", "localhost");
  EXPECT_EQ(name_of_error(api.connect(one, by_name())), "EINPROGRESS");
  ASSERT_TRUE(names().asked(1));
  EXPECT_EQ(send(client, "meanwhile"), "9");
  EXPECT_EQ(receive(server), "meanwhile");
  EXPECT_EQ(state(one), "CONNECTING");
  EXPECT_FALSE(names().answers()) << "nobody has waited for it";
  names().answer();
  EXPECT_TRUE(reaches(one, socket_state::open));
}

TEST_P(sockets_with_names, give_up_at_the_connect_timeout_while_a_name_is_looked_up) {
  ASSERT_NO_FATAL_FAILURE(listen());
  const auto one = made();
  set(one, "connectTimeout", "20ms");
  EXPECT_EQ(name_of_error(api.connect(one, by_name())), "ETIMEOUT");
  EXPECT_FALSE(names().answers());
  EXPECT_EQ(state(one), "CLOSED");
}

TEST_P(sockets_with_names, look_up_several_at_a_time) {
  ASSERT_NO_FATAL_FAILURE(listen());
  std::vector<socket_id> all;
  for (int i = 0; i < 6; ++i) {
    all.push_back(made());
    set(all.back(), "nonBlocking", "on");
    set(all.back(), "connectTimeout", "1m");
    if (is_encrypted()) set(all.back(), "servername", "localhost");
    EXPECT_EQ(name_of_error(api.connect(all.back(), by_name())), "EINPROGRESS");
  }
  EXPECT_EQ(poll(all.front(), socket_events::k_out, 1ms), 0u);
  EXPECT_TRUE(names().asked(4)) << "one that is not answered holds up no other one";
  names().answer();
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_TRUE(api.accept(listening));
  for (const auto one : all) EXPECT_TRUE(reaches(one, socket_state::open));
}

TEST_P(sockets_with_names, that_are_gone_are_not_looked_up_any_more) {
  ASSERT_NO_FATAL_FAILURE(listen());
  const auto connecting = [&] {
    const auto one = made();
    set(one, "nonBlocking", "on");
    set(one, "connectTimeout", "1m");
    if (is_encrypted()) set(one, "servername", "localhost");
    EXPECT_EQ(name_of_error(api.connect(one, by_name())), "EINPROGRESS");
    return one;
  };
  for (int i = 0; i < 4; ++i) static_cast<void>(connecting());
  ASSERT_TRUE(names().asked(4));  // no thread is left
  const auto gone = connecting();
  const auto late = bound_by_name();
  set(late, "connectTimeout", "20ms");
  EXPECT_EQ(name_of_error(api.listen(late)), "ETIMEOUT");
  const auto last = connecting();
  EXPECT_TRUE(api.close(gone));
  names().answer();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(api.accept(listening));
  EXPECT_TRUE(reaches(last, socket_state::open));
  EXPECT_EQ(names().times(), 5);
}

TEST_P(sockets_with_names, listen_at_a_name_while_others_go_on) {
  ASSERT_NO_FATAL_FAILURE(join());
  const auto one = bound_by_name();
  set(one, "connectTimeout", "1m");
  auto done = std::async(std::launch::async, [&] { return name_of_error(api.listen(one, 4)); });
  ASSERT_TRUE(names().asked(1));
  EXPECT_EQ(send(client, "meanwhile"), "9");
  EXPECT_EQ(receive(server), "meanwhile");
  EXPECT_EQ(state(one), "BOUND");
  EXPECT_FALSE(names().answers()) << "nobody has waited for it";
  names().answer();
  EXPECT_EQ(done.get(), "none");
  const auto at = api.getsockname(one);
  ASSERT_TRUE(at);
  EXPECT_EQ(at->host, "127.0.0.1");
  EXPECT_NE(at->port, 0);
}

TEST_P(sockets_with_names, give_up_listening_at_a_name_at_the_connect_timeout_or_when_closed) {
  const auto one = bound_by_name();
  set(one, "connectTimeout", "20ms");
  EXPECT_EQ(name_of_error(api.listen(one)), "ETIMEOUT");
  EXPECT_EQ(state(one), "BOUND") << "it can be tried again";
  set(one, "connectTimeout", "1m");
  auto done = std::async(std::launch::async, [&] { return name_of_error(api.listen(one)); });
  ASSERT_TRUE(names().asked(2));
  EXPECT_TRUE(api.close(one));
  EXPECT_EQ(done.get(), "EBADF");
  EXPECT_FALSE(names().answers());
}

TEST_P(sockets_with_names, may_be_closed_and_their_manager_destroyed_while_names_are_looked_up) {
  ASSERT_NO_FATAL_FAILURE(listen());
  std::thread answering;
  {
    socket_manager near;
    std::vector<socket_id> all;
    for (int i = 0; i < 6; ++i) {
      const auto one = near.socket(over);
      ASSERT_TRUE(one);
      ASSERT_TRUE(near.setsockopt(*one, "nonBlocking", "on"));
      EXPECT_EQ(name_of_error(near.connect(*one, by_name())), "EINPROGRESS");
      all.push_back(*one);
    }
    EXPECT_TRUE(names().asked(4));
    for (std::size_t i = 0; i < all.size(); i += 2) EXPECT_TRUE(near.close(all[i]));
    answering = std::thread([] { names().answer(); });
  }
  answering.join();
}

}  // namespace
}  // namespace ferry::test
