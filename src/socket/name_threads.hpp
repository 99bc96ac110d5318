#pragma once
/// Where names are looked up, so that neither the event loop nor anybody's call waits for a name server.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace ferry::sockets {

/// Threads named "ferry-names", none before there is something to do, and never more than k_most.
/// Thread safety: all members, and the executor.
class name_threads : public boost::asio::execution_context {
 public:
  static constexpr std::size_t k_most = 4;

  name_threads() = default;
  ~name_threads() { stop(); }
  name_threads(const name_threads&) = delete;
  name_threads& operator=(const name_threads&) = delete;

  /// What is posted to it runs on one of the threads; where the system gives none, at once.
  [[nodiscard]] boost::asio::any_io_executor get_executor() noexcept { return executor(*this); }
  /// Waits for what is under way. What has not begun is dropped, and so is what comes later.
  void stop();

 private:
  using task = std::function<void()>;

  /// As Asio wants it: never blocks the caller.
  class executor {
   public:
    explicit executor(name_threads& of) noexcept : of_(&of) {}
    [[nodiscard]] boost::asio::execution_context& query(boost::asio::execution::context_t) const noexcept {
      return *of_;
    }
    [[nodiscard]] static constexpr boost::asio::execution::blocking_t query(
        boost::asio::execution::blocking_t) noexcept {
      return boost::asio::execution::blocking.never;
    }
    [[nodiscard]] executor require(boost::asio::execution::blocking_t::never_t) const noexcept { return *this; }
    template <class F>
    void execute(F f) const {
      of_->push([kept = std::make_shared<F>(std::move(f))] { (*kept)(); });
    }
    [[nodiscard]] bool operator==(const executor&) const noexcept = default;

   private:
    name_threads* of_;
  };

  void push(task one);
  void run();

  std::mutex mutex_;
  // All of these are guarded by mutex_.
  std::condition_variable changed_;
  std::deque<task> waiting_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool stopping_ = false;
};

}  // namespace ferry::sockets
