/* The limit to compare `epnet bench session` with: TLS 1.3 with certificates from either side, on
 * epoll, sending back the bytes that come, and nothing else.  What a peer does not read is lost.
 *
 * Build: cc -O2 -o echo echo.c -lssl -lcrypto
 * Run:   EPNET_BENCH_ECHO=./echo epnet bench session
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static SSL_CTX *makeContext(const char *certificate, const char *key, const char *authority) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_load_verify_locations(context, authority, NULL) != 1) {
        fprintf(stderr, "cannot read the certificates\n");
        exit(1);
    }
    return context;
}

static int listenOn(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 512)) {
        perror("echo");
        exit(1);
    }
    return listener;
}

static void watch(int poll, int socket, void *whom) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = whom};
    epoll_ctl(poll, EPOLL_CTL_ADD, socket, &event);
}

static void welcome(int poll, int listener, SSL_CTX *context) {
    int one = 1, socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (socket < 0)
        return;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    SSL *tls = SSL_new(context);
    SSL_set_fd(tls, socket);
    SSL_set_accept_state(tls);
    watch(poll, socket, tls);
}

/* Send back what has come; the first reads are the handshake.  Says whether the peer is there. */
static int serve(SSL *tls) {
    static char bytes[16384];
    int count;
    while ((count = SSL_read(tls, bytes, sizeof bytes)) > 0) {
        SSL_write(tls, bytes, count);
        if (!SSL_has_pending(tls))
            return 1;
    }
    int error = SSL_get_error(tls, count);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

int main(int count, char **arguments) {
    if (count != 5) {
        fprintf(stderr, "usage: echo PORT CERTIFICATE KEY AUTHORITY\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    SSL_CTX *context = makeContext(arguments[2], arguments[3], arguments[4]);
    int listener = listenOn(atoi(arguments[1])), poll = epoll_create1(0);
    watch(poll, listener, NULL);
    for (;;) {
        struct epoll_event events[512];
        int ready = epoll_wait(poll, events, 512, -1);
        for (int i = 0; i < ready; i++) {
            SSL *tls = events[i].data.ptr;
            if (!tls) {
                welcome(poll, listener, context);
            } else if (!serve(tls)) {
                close(SSL_get_fd(tls));
                SSL_free(tls);
            }
        }
    }
}
