/** What `kubectl explain` says of each field; a `[]` in a path is an item of a list. */
export const DESCRIPTIONS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  TrafficPolicy: {
    '': "How calls to a service, or by a route or a Gateway, are treated. Every field has the grammar of the annotation of the same name. About a Service it holds above a namespace's annotations and below the Service's own; about a route or a Gateway, above what services say.",
    targetRef: 'What the policy is about.',
    'targetRef.group':
      'API group of the target: empty for a Service, gateway.networking.k8s.io for the others.',
    'targetRef.kind': 'Service, Gateway, HTTPRoute or GRPCRoute.',
    'targetRef.name': 'Name of the target.',
    'targetRef.namespace': "Namespace of the target; the policy's own if it is left out.",
    'targetRef.sectionName':
      'Of an HTTPRoute or a GRPCRoute: the name of the rule that is meant. Default: all its rules.',
    timeout: 'Time for the whole request with its retries, like 2s. Default: none.',
    'try-timeout': 'Time for one attempt, like 500ms. Default: none.',
    'idle-timeout': 'How long nothing of a request or its response may move, like 30s. Default: for ever.',
    'connect-timeout': 'Time for a connection, TLS included, like 500ms. Default: that of the sidecar.',
    retries:
      'How often and on what a request is tried again, like "2 on connect,reset,503". Default: "2 on connect", which never replays a request that may have run.',
    'retry-budget':
      'The most that retries may add: a share of the requests and a rate, like "20% + 10/s", which is the default.',
    hedge: 'When a second attempt starts beside a slow first, like "after p95". Default: off.',
    balance:
      'p2c-ewma (default), least-request, round-robin, random, maglev or ring-hash, the last two with what is hashed, like "ring-hash header:x-user".',
    'circuit-breaker':
      'When an endpoint is left out and for how long. Default: "failures 5, eject 5s..60s, max 50%". The last endpoint is never left out.',
    'health-check':
      'How endpoints are probed, like "http /healthz every 5s timeout 1s". Default: not at all.',
    limits: 'The most at once to the service. Default: "connections 1024, pending 1024, requests 4096".',
    'rate-limit':
      'Quotas, several separated by ;, like "100/s burst 200 by client", "window 1000/h by ip", "concurrent 50"; options exact, dry-run, on-outage. Default: none.',
    cache: 'respect, a time like 60s, "60s stale 300s" or off (default).',
    coalesce: 'on: equal requests that are under way share one response. Default: off.',
    compress: 'Encodings of responses in the order of preference, like "gzip,br,zstd". Default: off.',
    fault:
      'What goes wrong on purpose, and how often, like "delay 200ms 10%; abort 503 1% if header x-chaos: on". Default: off.',
    'direct-response':
      'What is answered in place of a server, like "503 Back at ten"; headers in further lines, the body after an empty one. Default: off.',
    rewrite: 'Paths and headers that expressions rewrite, like "path /v1/(.*) -> /v2/$1". Default: off.',
    sticky:
      'What callers are known again by, so that they stay with the backend that weights gave them, like "header:x-user, ip" or "cookie:canary set 12h". Default: off.',
    mtls: 'strict or permissive (default, takes plain text too).',
    allow: 'Who may call, like "web, payments/checkout". Default: everybody.',
    'opaque-ports': 'Ports whose bytes are relayed unread, like "3306,6379".',
  },
  AccessPolicy: {
    '': 'Who may call what. The sidecar of the called service enforces it.',
    targetRef: 'What the policy is about.',
    'targetRef.group':
      'API group of the target: empty for a Service, gateway.networking.k8s.io for the others.',
    'targetRef.kind': 'Service, Gateway, HTTPRoute or GRPCRoute.',
    'targetRef.name': 'Name of the target.',
    'targetRef.namespace': "Namespace of the target; the policy's own if it is left out.",
    clients: 'Workloads that may call, as NAMESPACE/SERVICEACCOUNT, or SERVICEACCOUNT in the same namespace.',
    'clients[]': 'A workload, like payments/checkout.',
    jwt: 'A request needs a valid token of one of these issuers.',
    'jwt[]': 'An issuer of tokens.',
    'jwt[].issuer': 'The claim iss of its tokens.',
    'jwt[].audiences': 'The claim aud must hold one of them. Default: any.',
    'jwt[].audiences[]': 'An audience.',
    'jwt[].jwksUri': "Where the issuer's keys are. Default: what its OpenID configuration says.",
    apiKeys: 'A request needs one of these keys.',
    'apiKeys.header': 'The header that holds the key.',
    'apiKeys.secretName': "A Secret in the policy's namespace with a key in each entry.",
    methods: 'Methods that may be called. Default: all.',
    'methods[]': 'A method, like GET.',
    paths: 'Paths that may be called, with all below them. Default: all.',
    'paths[]': 'A path, like /orders.',
  },
  Aggregate: {
    '': 'One response made of the responses of several services.',
    path: 'The path that it is asked for by, like /page.',
    parts: 'What it is made of.',
    'parts[]': 'One of the responses.',
    'parts[].field': 'The field of the response that it becomes.',
    'parts[].service': 'The service that is asked, as NAME or NAMESPACE/NAME.',
    'parts[].path': 'The path that it is asked for by.',
    'parts[].optional':
      'true: the field is null if the service does not answer. Default: the whole response fails.',
  },
};
