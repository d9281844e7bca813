"""Every address, in the order in which a backport meets them."""

from django.urls import path

from scheduler.views import (
    accounts,
    amending,
    backports,
    calendar,
    health,
    policy,
    questions,
    reviews,
    windows,
)

urlpatterns = [
    path("", calendar.calendar, name="calendar"),
    path("sign-in", accounts.sign_in, name="sign-in"),
    path("sign-out", accounts.sign_out, name="sign-out"),
    path("demo-sign-in", accounts.demo_sign_in, name="demo-sign-in"),
    path("backports/new", backports.new, name="backport-new"),
    path("backports/preview", backports.preview, name="backport-preview"),
    path("backports/<int:pk>", backports.detail, name="backport"),
    path("backports/<int:pk>/amend", amending.amend, name="backport-amend"),
    path("backports/<int:pk>/withdraw", backports.withdraw, name="backport-withdraw"),
    path("reviews/", reviews.inbox, name="review-inbox"),
    path("backports/<int:pk>/approve", reviews.approve, name="review-approve"),
    path("backports/<int:pk>/decline", reviews.decline, name="review-decline"),
    path("backports/<int:pk>/train", reviews.train, name="review-train"),
    path("backports/<int:pk>/ask", reviews.ask, name="review-ask"),
    path("windows/<int:pk>", windows.detail, name="window"),
    path("windows/<int:pk>/answer", questions.answer, name="question-answer"),
    path("windows/<int:pk>/lock", windows.lock, name="window-lock"),
    path("windows/<int:pk>/unlock", windows.unlock, name="window-unlock"),
    path("windows/<int:pk>/checklist", windows.checklist, name="window-checklist"),
    path("windows/<int:pk>/plan.json", windows.document, name="window-document"),
    path("policy", policy.policy, name="policy"),
    path("healthz", health.healthz, name="healthz"),
]
