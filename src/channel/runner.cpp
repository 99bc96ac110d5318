#include <ferry/context.hpp>
#include <ferry/runner.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <future>
#include <thread>

#include "channel/fail.hpp"
#include "net/event_loop.hpp"

namespace ferry {
namespace {

context_options with_names_looked_up_on(boost::asio::thread_pool& pool) {
  context_options with;
  with.blocking_executor = pool.get_executor();
  return with;
}

}  // namespace

struct runner::parts {
  parts() {
    or_fail(net::make_ready(io));
    thread = std::thread([this] { io.run(); });
  }
  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  boost::asio::thread_pool names{1};
  context where{io, with_names_looked_up_on(names)};
  std::thread thread;
};

runner::runner() : parts_(std::make_unique<parts>()) {}

runner::~runner() {
  parts_->io.stop();
  parts_->thread.join();
  parts_->names.join();
}

context& runner::where() noexcept { return parts_->where; }

void runner::post(std::function<void()> f) { boost::asio::post(parts_->io, std::move(f)); }

bool runner::on_its_thread() const noexcept { return std::this_thread::get_id() == parts_->thread.get_id(); }

void runner::call(const std::function<void()>& f) {
  if (on_its_thread()) return f();
  std::packaged_task<void()> task(f);
  auto done = task.get_future();
  boost::asio::post(parts_->io, [&task] { task(); });
  done.get();
}

}  // namespace ferry
