{{/* Names, labels, images and addresses that several templates share. */}}

{{- define "tidegate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "tidegate.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "tidegate.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The name of a component's object: (list . "operator"). */}}
{{- define "tidegate.componentName" -}}
{{- printf "%s-%s" (include "tidegate.fullname" (index . 0)) (index . 1) -}}
{{- end -}}

{{/* What never changes, for selectors: (list . "operator"). */}}
{{- define "tidegate.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tidegate.name" (index . 0) }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* All labels of an object: (list . "operator"). */}}
{{- define "tidegate.labels" -}}
{{- $root := index . 0 -}}
{{ include "tidegate.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: tidegate
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* An image's reference: (list . .Values.operator.image). */}}
{{- define "tidegate.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $repository := $image.repository -}}
{{- with $root.Values.image.registry -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default $root.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "tidegate.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The Pod Security Standard "restricted". */}}
{{- define "tidegate.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "tidegate.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Where pods may run: (list . .Values.operator "operator"). */}}
{{- define "tidegate.scheduling" -}}
{{- $root := index . 0 -}}
{{- $values := index . 1 -}}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
{{- if $values.topologySpreadConstraints }}
{{- toYaml $values.topologySpreadConstraints | nindent 2 }}
{{- else }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "tidegate.selectorLabels" (list $root (index . 2)) | nindent 8 }}
{{- end }}
{{- end -}}

{{/* The Secret with tls.crt, tls.key and ca.crt. */}}
{{- define "tidegate.tlsSecret" -}}
{{- if eq .Values.certificates.mode "existing-secret" -}}
{{- .Values.certificates.existingSecret.name -}}
{{- else -}}
{{- include "tidegate.componentName" (list . "tls") -}}
{{- end -}}
{{- end -}}

{{/* DNS names that the certificate must carry, separated by commas. */}}
{{- define "tidegate.tlsNames" -}}
{{- $names := list -}}
{{- range list "operator" "injector" -}}
{{- $host := include "tidegate.componentName" (list $ .) -}}
{{- $names = concat $names (list (printf "%s.%s.svc" $host $.Release.Namespace) (printf "%s.%s.svc.cluster.local" $host $.Release.Namespace)) -}}
{{- end -}}
{{- join "," $names -}}
{{- end -}}

{{- define "tidegate.operatorUrl" -}}
{{- default (printf "https://%s.%s.svc:9443" (include "tidegate.componentName" (list . "operator")) .Release.Namespace) .Values.operator.url -}}
{{- end -}}

{{/* What pods get that say nothing, as the injector wants it: JSON. */}}
{{- define "tidegate.sidecarDefaults" -}}
{{- $defaults := dict -}}
{{- range $key, $value := .Values.sidecar.defaults -}}
{{- $text := $value | toString -}}
{{- /* Numbers of a values file are floats to Helm 3, and large ones would become 1.3e+08. */ -}}
{{- if and (kindIs "float64" $value) (eq (floor $value) $value) -}}
{{- $text = $value | int64 | toString -}}
{{- end -}}
{{- $_ := set $defaults $key $text -}}
{{- end -}}
{{- if .Values.nats.enabled -}}
{{- $host := include "tidegate.componentName" (list . "nats") -}}
{{- $address := default (printf "%s.%s.svc" $host .Release.Namespace) .Values.nats.service.clusterIP -}}
{{- $_ := set $defaults "backplane" (printf "nats://%s:4222" $address) -}}
{{- else if .Values.sidecar.backplane.url -}}
{{- $_ := set $defaults "backplane" .Values.sidecar.backplane.url -}}
{{- else if .Values.sidecar.backplane.existingSecret -}}
{{- $_ := set $defaults "backplane-secret" .Values.sidecar.backplane.existingSecret -}}
{{- end -}}
{{- toJson $defaults -}}
{{- end -}}

{{/* A quantity in Mi or Gi, as a number of MiB. */}}
{{- define "tidegate.mib" -}}
{{- if hasSuffix "Gi" . -}}
{{- mul 1024 (trimSuffix "Gi" . | int64) -}}
{{- else -}}
{{- trimSuffix "Mi" . | int64 -}}
{{- end -}}
{{- end -}}

{{/* What each application's log reserves in NATS, in MiB: twice the sidecar's ring-bytes. */}}
{{- define "tidegate.logMib" -}}
{{- $ring := get .Values.sidecar.defaults "ring-bytes" | default "67108864" -}}
{{- max 1 (div (add 1048575 (mul 2 (int64 $ring))) 1048576) -}}
{{- end -}}
