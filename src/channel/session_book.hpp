#pragma once
/// The sessions of accepted ends that are open in contexts which share their transports: a client may come back at
/// another endpoint, and at another event loop.
///
/// A channel belongs to the thread that turns its io_context, so whoever wants something of one that is elsewhere posts
/// a question there. Thread safety: all members.

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace ferry::detail {

class session_channel;

class session_book {
 public:
  using loop = boost::asio::io_context;
  using question = std::function<void(const std::shared_ptr<session_channel>&)>;

  /// From a loop's first listener until it is destroyed.
  void join(loop& one);
  void leave(loop& one) noexcept;
  /// Where no such loop is there any more, nothing happens.
  void post(loop* to, std::function<void()> what);

  /// The open channel of a session that belongs to this loop. On its thread.
  /// @param whose  the session's files, without what tells them apart
  [[nodiscard]] std::shared_ptr<session_channel> find(const std::string& whose, const loop& here);
  /// Asks the loop that has it, with the channel, or with null if that has gone meanwhile.
  /// @return whether another loop has it
  [[nodiscard]] bool ask_elsewhere(const std::string& whose, const loop& here, question what);
  void keep(const std::string& whose, loop& here, const std::shared_ptr<session_channel>& one);

 private:
  struct entry {
    loop* at = nullptr;
    std::weak_ptr<session_channel> one;
  };
  void forget_those_that_are_gone();

  std::mutex lock_;
  std::unordered_set<loop*> loops_;
  std::unordered_map<std::string, entry> open_;
  std::size_t last_size_ = 0;
};

}  // namespace ferry::detail
