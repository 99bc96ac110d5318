#pragma once
#include <ferry/stream.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <utility>

namespace ferry::net {

/// An attempt whose outcome is known already; reported by the event loop, as the contract of connect() wants.
class posted_attempt final : public connect_attempt {
 public:
  posted_attempt(boost::asio::io_context& io, result<std::shared_ptr<stream>> outcome,
                 stream_transport::connect_handler done)
      : done_(std::make_shared<stream_transport::connect_handler>(std::move(done))) {
    boost::asio::post(io, [done = done_, outcome = std::move(outcome)] {
      if (auto report = std::exchange(*done, nullptr)) report(outcome);
    });
  }
  ~posted_attempt() override { *done_ = nullptr; }

 private:
  std::shared_ptr<stream_transport::connect_handler> done_;
};

}  // namespace ferry::net
