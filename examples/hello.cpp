#include <ferry/blocking.hpp>

#include <iostream>
int main(int argc, char** argv) {
  if (argc > 2) {  // hello URL server
    auto peer = ferry::listen(argv[1]).accept();
    while (auto message = peer.receive()) peer.send(message->text());
  } else if (argc > 1) {  // hello URL
    auto peer = ferry::connect(argv[1]);
    peer.send("Hello, Ferry");
    std::cout << peer.receive()->text() << '\n';
  }
}
