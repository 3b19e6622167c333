"""The losses of a student. Distances are summed over dimensions and meant over the batch: for unit vectors |s - t|^2 = 2 - 2 cos."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def distillation(student_nd: Tensor, teacher_nd: Tensor) -> Tensor:
    """The squared distance to the teacher.

    PyTorch's own mean over dimensions is d times smaller: an alpha that was tuned with one is wrong with the other.
    """
    return (student_nd - teacher_nd).square().sum(dim=1).mean()


def info_nce(student_nd: Tensor, documents_md: Tensor, relevant_nm: Tensor, own_n: Tensor, temperature: float) -> Tensor:
    """InfoNCE over the documents of a batch: every query's relevant one and every query's hard negatives.

    Args:
        student_nd: [n, d] queries.
        documents_md: [m, d] all documents of the batch.
        relevant_nm: [n, m] True where a document is relevant to a query; such a one is no negative.
        own_n: [n] the place of each query's own relevant document.
        temperature: tau.
    """
    rows_n = torch.arange(len(student_nd), device=student_nd.device)
    masked_nm = relevant_nm.clone()
    masked_nm[rows_n, own_n] = False
    scores_nm = (student_nd @ documents_md.T / temperature).masked_fill(masked_nm, float("-inf"))
    return cross_entropy(scores_nm, own_n)
