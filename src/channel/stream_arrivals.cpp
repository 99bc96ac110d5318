#include "channel/arrivals.hpp"
#include "channel/stream_channel.hpp"

namespace ferry::detail {
namespace {

class stream_arrival final : public arrival {
 public:
  stream_arrival(std::shared_ptr<stream> arrived, stream_shape shape) : stream_(std::move(arrived)), shape_(shape) {}
  // Memory has run out on the way to its channel. A stream that is not closed may keep itself.
  ~stream_arrival() override {
    if (stream_) stream_->close();
  }
  stream_arrival(const stream_arrival&) = delete;
  stream_arrival& operator=(const stream_arrival&) = delete;
  [[nodiscard]] peer_info peer() const override { return stream_->peer(); }
  void refuse() noexcept override { stream_->close(); }
  [[nodiscard]] std::shared_ptr<channel_impl> make(context& where, const shared_url& url,
                                                   std::shared_ptr<const options> with) override {
    made_ = make_accepted(where, url, std::move(with), shape_);
    return made_.impl;
  }
  void start(std::shared_ptr<void> slot) override { made_.start(std::move(stream_), std::move(slot)); }

 private:
  std::shared_ptr<stream> stream_;
  stream_shape shape_;
  made_channel made_;
};

class acceptor_arrivals final : public arrivals {
 public:
  acceptor_arrivals(std::unique_ptr<acceptor> from, stream_shape shape) : from_(std::move(from)), shape_(shape) {}
  [[nodiscard]] result<std::unique_ptr<arrival>> try_accept() override {
    auto arrived = from_->try_accept();
    if (!arrived) return arrived.error();
    try {
      return std::unique_ptr<arrival>(std::make_unique<stream_arrival>(*arrived, shape_));
    } catch (...) {
      (*arrived)->close();
      throw;
    }
  }
  void async_wait(std::function<void()> ready) override { from_->async_wait(std::move(ready)); }
  result<void> refuse_new() override { return from_->refuse_new(); }
  void close() noexcept override { from_->close(); }
  [[nodiscard]] std::string local_url() const override { return from_->local_url(); }

 private:
  std::unique_ptr<acceptor> from_;
  stream_shape shape_;
};

}  // namespace

std::unique_ptr<arrivals> stream_arrivals(std::unique_ptr<acceptor> from, stream_shape shape) {
  return std::make_unique<acceptor_arrivals>(std::move(from), shape);
}

}  // namespace ferry::detail
