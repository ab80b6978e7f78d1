{{- define "tulle.labels" -}}
app.kubernetes.io/part-of: tulle
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "tulle.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- /* The pod of a Deployment, but for its name, labels and container. */ -}}
{{- define "tulle.pod" -}}
automountServiceAccountToken: true
terminationGracePeriodSeconds: 30
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 2102
  runAsGroup: 2102
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- /* A container, but for its name, arguments, ports and resources. */ -}}
{{- define "tulle.container" -}}
image: {{ include "tulle.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
startupProbe:
  httpGet: { path: /livez, port: health }
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /livez, port: health }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: health }
  periodSeconds: 2
  timeoutSeconds: 2
{{- end }}

{{- define "tulle.podName" -}}
- name: POD_NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
{{- end }}

{{- /* Of (list NAME WHEN-UNSATISFIABLE): the replicas on several nodes and in several zones. */ -}}
{{- define "tulle.spread" -}}
{{- $name := index . 0 -}}
{{- $when := index . 1 -}}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: {{ $when }}
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels:
      app.kubernetes.io/part-of: tulle
      app.kubernetes.io/name: {{ $name }}
{{- end }}
{{- end }}

{{- define "tulle.injection" -}}
admissionReviewVersions: [v1]
clientConfig:
  service: { name: injector, namespace: {{ .Release.Namespace }}, port: 443, path: /inject }
failurePolicy: Fail
# Nothing of a pod in its node's network can be captured: it does not wait for the injector either.
matchConditions:
  - name: own-network
    expression: "!has(object.spec.hostNetwork) || !object.spec.hostNetwork"
matchPolicy: Equivalent
reinvocationPolicy: IfNeeded
sideEffects: None
timeoutSeconds: {{ .Values.injector.timeoutSeconds }}
rules:
  - apiGroups: [""]
    apiVersions: [v1]
    operations: [CREATE]
    resources: [pods]
    scope: Namespaced
{{- end }}

{{- define "tulle.validation" -}}
admissionReviewVersions: [v1]
clientConfig:
  service: { name: injector, namespace: {{ .Release.Namespace }}, port: 443, path: /validate }
failurePolicy: Ignore
matchPolicy: Equivalent
sideEffects: None
timeoutSeconds: 3
{{- end }}

{{- define "tulle.notExcluded" -}}
- key: kubernetes.io/metadata.name
  operator: NotIn
  values:
    - kube-system
    - kube-node-lease
    - {{ .Release.Namespace }}
    {{- with .Values.injector.excludedNamespaces }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- /* CEL: whether an object has a key of the mesh in its annotations, or labels. */ -}}
{{- define "tulle.hasKeys" -}}
(has(object.metadata.{{ . }}) && object.metadata.{{ . }}.exists(key, key.startsWith('tulle.dev/')))
{{- end }}
