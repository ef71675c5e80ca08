module windlass/bed/material

go 1.26.0

require gitlab.com/gitlab-org/api/client-go v1.46.0
