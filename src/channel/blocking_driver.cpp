#include "channel/blocking_driver.hpp"

#include <ferry/blocking.hpp>
#include <ferry/channel.hpp>

namespace ferry::blocking::detail {
namespace {

class driver_here final : public driver {
 public:
  [[nodiscard]] context& where() noexcept override { return where_; }
  void call(const std::function<void()>& f) override { f(); }
  bool wait(std::unique_lock<std::mutex>& lock, std::condition_variable&, const std::function<bool()>& done,
            std::optional<clock::time_point> until) override {
    while (!done()) {
      lock.unlock();
      io_.restart();
      if (until) {
        io_.run_one_until(*until);
      } else {
        io_.run_one();
      }
      lock.lock();
      if (!done() && until && clock::now() >= *until) return false;
    }
    return true;
  }
  void turn() override {
    io_.restart();
    io_.poll();
  }
  [[nodiscard]] bool threaded() const noexcept override { return false; }

 private:
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
  context where_{io_};
};

class driver_on final : public driver {
 public:
  explicit driver_on(runner& on) noexcept : on_(on) {}
  [[nodiscard]] context& where() noexcept override { return on_.where(); }
  void call(const std::function<void()>& f) override { on_.run(f); }
  bool wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, const std::function<bool()>& done,
            std::optional<clock::time_point> until) override {
    if (on_.on_its_thread())
      throw failure(errc::misuse, 0,
                    "a blocking call on the runner's own thread would wait for itself: use the asynchronous API there");
    if (until) return changed.wait_until(lock, *until, done);
    changed.wait(lock, done);
    return true;
  }
  void turn() override {}
  [[nodiscard]] bool threaded() const noexcept override { return true; }

 private:
  runner& on_;
};

}  // namespace

std::shared_ptr<driver> drive_here() { return std::make_shared<driver_here>(); }
std::shared_ptr<driver> drive_on(runner& on) { return std::make_shared<driver_on>(on); }

}  // namespace ferry::blocking::detail
